"""The faces of the core: gRPC, REST and the event stream over one implementation, `control`."""
