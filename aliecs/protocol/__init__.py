"""The wires: .proto files with what is generated from them, control messages, record framing."""
