//! L7: the Ingress front door.
