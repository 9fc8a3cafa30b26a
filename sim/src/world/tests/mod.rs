//! Tests of the port of the JavaScript.

mod port;
