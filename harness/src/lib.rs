//! The run: cluster, clients, recorder, phases, command line.
