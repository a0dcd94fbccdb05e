//! Black box: a real Envoy, a scripted model provider, real clients.
