//! Tests of the layer `fleet`: values alone, no sockets.

mod slot;
