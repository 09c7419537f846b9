//! Vectors as they are kept: of length 1, so that the cosine of two is their product, and roughly, in a byte a number.

/// The same direction with the length 1; `None` where there is no direction.
#[must_use]
pub fn unit(numbers: &[f32]) -> Option<Vec<f32>> {
    // Squares of the largest and the smallest numbers have room in an f64.
    let length = numbers.iter().map(|it| f64::from(*it).powi(2)).sum::<f64>().sqrt();
    let scaled = |it: &f32| narrow(f64::from(*it) / length);
    length.is_normal().then(|| numbers.iter().map(scaled).collect())
}

#[expect(clippy::cast_possible_truncation, reason = "to the nearest; what comes here is from -1 to 1")]
const fn narrow(number: f64) -> f32 {
    number as f32
}

/// The product of two vectors of one dimension.
pub(super) fn dot(one: &[f32], other: &[f32]) -> f64 {
    one.iter().zip(other).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

/// From 0 for the same direction to 2 for the opposite one.
pub(super) fn distance(one: &[f32], other: &[f32]) -> f64 {
    (1.0 - dot(one, other)).clamp(0.0, 2.0)
}

pub(super) fn to_bytes(vector: &[f32]) -> Vec<u8> {
    vector.iter().flat_map(|it| it.to_le_bytes()).collect()
}

pub(super) fn from_bytes(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<4>().0.iter().copied().map(f32::from_le_bytes).collect()
}

/// A vector in whole numbers, each times `factor` about what it was.
pub(super) struct Rough<T> {
    pub(super) factor: f32,
    pub(super) numbers: Vec<T>,
}

/// As it is kept.
pub(super) fn rough(vector: &[f32]) -> Rough<i8> {
    const MOST: f32 = 127.0;
    let factor = largest(vector) / MOST;
    #[expect(clippy::cast_possible_truncation, reason = "from -127 to 127")]
    let numbers = vector.iter().map(|it| (it / factor).round() as i8).collect();
    Rough { factor, numbers }
}

/// As it is asked for: finer, so that what was rounded when it was kept is nearly all the error.
pub(super) fn rough_query(vector: &[f32]) -> Rough<i16> {
    // 2,000 products of this and a kept number have room in an i32.
    const MOST: f32 = 8_000.0;
    let factor = largest(vector) / MOST;
    #[expect(clippy::cast_possible_truncation, reason = "from -8,000 to 8,000")]
    let numbers = vector.iter().map(|it| (it / factor).round() as i16).collect();
    Rough { factor, numbers }
}

fn largest(vector: &[f32]) -> f32 {
    vector.iter().fold(0.0, |largest, it| it.abs().max(largest))
}

/// The product in whole numbers. A plain loop without branches: the compiler takes many numbers in one step.
pub(super) fn rough_dot(query: &[i16], kept: &[u8]) -> i32 {
    query.iter().zip(kept).map(|(a, b)| i32::from(*a) * i32::from(b.cast_signed())).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_and_the_smallest_have_a_direction() {
        for numbers in [vec![3.4e38, 0.0], vec![1e-45, 0.0], vec![0.25, 0.0]] {
            assert_eq!(unit(&numbers), Some(vec![1.0, 0.0]));
        }
        assert_eq!(unit(&[2.4e38, -3.2e38]), Some(vec![0.6, -0.8]));
        for numbers in [vec![], vec![0.0, -0.0]] {
            assert_eq!(unit(&numbers), None);
        }
    }

    #[test]
    fn bytes_come_back() {
        let vector = [0.1, -0.0, 1.0, f32::MIN_POSITIVE];
        let bits = |vector: &[f32]| vector.iter().map(|it| it.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&from_bytes(&to_bytes(&vector))), bits(&vector));
    }

    #[test]
    fn the_rough_product_is_near_the_exact_one_and_never_overflows() {
        let vector =
            |seed: f32| unit(&(0..2_000_u16).map(|n| (f32::from(n) * seed).sin()).collect::<Vec<_>>()).unwrap();
        let flat = unit(&[1.0; 2_000]).unwrap();
        for (one, other) in [(vector(0.7), vector(0.71)), (flat.clone(), flat), (vector(1.3), vector(1.3))] {
            let (query, kept) = (rough_query(&one), rough(&other));
            let bytes: Vec<u8> = kept.numbers.iter().map(|it| it.cast_unsigned()).collect();
            let product =
                f64::from(rough_dot(&query.numbers, &bytes)) * f64::from(query.factor) * f64::from(kept.factor);
            assert!((product - dot(&one, &other)).abs() < 0.005, "{product}");
        }
    }
}
