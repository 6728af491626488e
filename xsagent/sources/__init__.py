"""Where the model comes from: XAPI, network.dbcache, xenstore and host files. Input only."""
