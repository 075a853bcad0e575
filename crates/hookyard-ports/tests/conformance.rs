//! The store in memory keeps every promise of the port; it is the model that other stores are compared with.

use hookyard_ports::testkit::conformance::MemoryGround;

hookyard_ports::conformance_tests!(MemoryGround::new());
