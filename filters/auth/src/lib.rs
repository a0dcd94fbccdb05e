//! Who calls: API keys and JWTs, one identity out.
