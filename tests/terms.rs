//! Terms of use: nothing is collected unacknowledged, nothing is kept beyond its time, nothing trains against them.
