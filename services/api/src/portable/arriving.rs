//! Bytes that arrive in one place and are read in another, where reading may wait.

use std::cell::Cell;
use std::io::{Error, ErrorKind, Read};

use axum::body::Bytes;
use tokio::sync::mpsc::Receiver;

/// How many bytes may still be read before something is finished with.
#[derive(Debug)]
pub(crate) struct Budget {
    left: Cell<usize>,
    whole: usize,
}

impl Budget {
    pub(crate) const fn new(whole: usize) -> Self {
        Self { left: Cell::new(whole), whole }
    }

    pub(super) fn renew(&self) {
        self.left.set(self.whole);
    }

    fn spend(&self, bytes: usize) -> Result<(), Error> {
        let left = self.left.get().checked_sub(bytes);
        self.left.set(left.unwrap_or(0));
        left.map(drop).ok_or_else(|| ErrorKind::FileTooLarge.into())
    }
}

pub(crate) struct Arriving<'a> {
    bytes: Receiver<Bytes>,
    at: Bytes,
    budget: &'a Budget,
}

impl<'a> Arriving<'a> {
    pub(crate) const fn new(bytes: Receiver<Bytes>, budget: &'a Budget) -> Self {
        Self { bytes, at: Bytes::new(), budget }
    }
}

impl Read for Arriving<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        while self.at.is_empty() {
            match self.bytes.blocking_recv() {
                Some(bytes) => self.at = bytes,
                None => return Ok(0),
            }
        }
        let read = self.at.split_to(self.at.len().min(buffer.len()));
        self.budget.spend(read.len())?;
        buffer.iter_mut().zip(&read).for_each(|(to, from)| *to = *from);
        Ok(read.len())
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    fn read(pieces: &[&'static [u8]], budget: &Budget) -> Result<Vec<u8>, Error> {
        let (sender, receiver) = mpsc::channel(pieces.len().max(1));
        for piece in pieces {
            sender.try_send(Bytes::from_static(piece)).unwrap();
        }
        drop(sender);
        let mut all = Vec::new();
        Arriving::new(receiver, budget).read_to_end(&mut all).map(|_| all)
    }

    #[test]
    fn pieces_are_read_as_one() {
        assert_eq!(read(&[b"ab", b"", b"c", b"def"], &Budget::new(6)).unwrap(), b"abcdef");
        assert_eq!(read(&[], &Budget::new(0)).unwrap(), b"");
    }

    #[test]
    fn what_is_too_much_ends_it() {
        let budget = Budget::new(5);
        assert_eq!(read(&[b"abc", b"def"], &budget).unwrap_err().kind(), ErrorKind::FileTooLarge);
        budget.renew();
        assert_eq!(read(&[b"abc", b"de"], &budget).unwrap(), b"abcde");
    }
}
