//! The queue keeps its bound and its order.
