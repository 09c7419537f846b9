//! Where a text stands among others, as a model sees it.

use serde::{Deserialize, Serialize};

use super::{EmbeddingModel, Invalid};

/// A vector, and the model that gave it: vectors of two models say nothing about each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Embedding {
    pub model: EmbeddingModel,
    pub vector: Vector,
}

/// Numbers that have a direction; in JSON 8 hexadecimal digits for each, as a log holds many.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Vector(Vec<u32>);

impl Vector {
    /// As many as an index takes.
    pub const MOST: u32 = 2_000;

    pub fn new(numbers: &[f32]) -> Result<Self, Invalid> {
        let dimension = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
        if !(1..=Self::MOST).contains(&dimension) {
            return Err(Invalid::Dimension(1, Self::MOST));
        }
        let length: f64 = numbers.iter().map(|number| f64::from(*number).powi(2)).sum();
        let has_direction = length.is_normal() && numbers.iter().all(|number| number.is_finite());
        if has_direction {
            Ok(Self(numbers.iter().map(|it| it.to_bits()).collect()))
        } else {
            Err(Invalid::NoDirection)
        }
    }

    /// How many numbers it has.
    #[must_use]
    pub fn dimension(&self) -> u32 {
        u32::try_from(self.0.len()).unwrap_or(u32::MAX)
    }

    #[must_use]
    pub fn numbers(&self) -> Vec<f32> {
        self.0.iter().copied().map(f32::from_bits).collect()
    }
}

impl From<Vector> for String {
    fn from(vector: Vector) -> Self {
        let digit = |bits: u32, place: u32| char::from_digit((bits >> (28 - 4 * place)) & 15, 16).unwrap_or('0');
        vector.0.iter().flat_map(|bits| (0..8).map(move |place| digit(*bits, place))).collect()
    }
}

impl TryFrom<String> for Vector {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        let number = |digits: &[u8]| {
            let digits = std::str::from_utf8(digits).ok().filter(|digits| digits.len() == 8)?;
            u32::from_str_radix(digits, 16).ok().map(f32::from_bits)
        };
        let numbers: Option<Vec<f32>> = text.as_bytes().chunks(8).map(number).collect();
        Self::new(&numbers.ok_or(Invalid::NoDirection)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vector_comes_back_to_the_last_bit() {
        for numbers in [vec![1.0], vec![0.1, -0.0, 3.402_823_5e38, 1.0e-30], vec![0.3; 2_000]] {
            let vector = Vector::new(&numbers).unwrap();
            let json = serde_json::to_string(&vector).unwrap();
            let read: Vector = serde_json::from_str(&json).unwrap();
            assert_eq!(read, vector);
            let bits = |numbers: &[f32]| numbers.iter().map(|it| it.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&read.numbers()), bits(&numbers));
        }
        assert_eq!(serde_json::to_string(&Vector::new(&[1.0, -2.0]).unwrap()).unwrap(), "\"3f800000c0000000\"");
    }

    #[test]
    fn what_has_no_direction_is_no_vector() {
        for numbers in [vec![0.0, -0.0], vec![1.0, f32::NAN], vec![f32::INFINITY]] {
            assert_eq!(Vector::new(&numbers), Err(Invalid::NoDirection));
        }
        assert!(Vector::new(&[1.0e-45]).is_ok(), "the shortest has a direction");
        for numbers in [vec![], vec![1.0; 2_001]] {
            assert_eq!(Vector::new(&numbers), Err(Invalid::Dimension(1, 2_000)));
        }
        for json in ["\"\"", "\"3f8\"", "\"3f80000\"", "\"xx800000\"", "\"00000000\"", "\"한한한\"", "[1.0]"] {
            assert!(serde_json::from_str::<Vector>(json).is_err(), "{json}");
        }
    }
}
