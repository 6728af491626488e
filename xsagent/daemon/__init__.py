"""xsagentd: the resident daemon. Hears of guests' devices, answers the commands, keeps the host as it is to be."""
