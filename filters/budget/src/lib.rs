//! May it spend: reserve, settle.
