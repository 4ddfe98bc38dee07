"""Outside services, one module each, behind `IIntegration`."""
