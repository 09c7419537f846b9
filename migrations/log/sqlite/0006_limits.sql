-- They have a file of their own, so that no append waits for them.
drop table limits;
drop table known_addresses;
