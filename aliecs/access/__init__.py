"""Who may do what: callers recognised, locks of detectors, and the audit."""
