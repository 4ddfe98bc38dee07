"""Configuration: the tree of keys, the stores that keep it, and the service that reads it.

    tree          the shape of it: keys, flat and nested
    sqlite, file  keep it on this machine, behind `store`; consulstore (over consul) in a Consul
    service       its meaning: run numbers, runtime entries, and
                  components   payloads: read, imported, deleted; history, format, processing
                  inventory    detectors, hosts, cards, links
    query         the paths of payloads
    remote        the service of another process, with what both sides know of the `wire`
    opening       from an address to all that; `importing` fills a tree
"""
