"""Wires whose file names are part of the protocol: clients find them through server reflection as
`protos/<name>.proto`, so the folder is called the same here."""
