//! Sketches, for Postgres: on which side of many planes a vector lies, a bit for each. Two vectors differ in as many bits as
//! their angle is wide, nearly; so few bytes tell which are worth a look.

/// How many planes.
pub(super) const BITS: usize = 1_024;
/// A vector of fewer numbers needs no sketch, and would have a poor one.
const LEAST: usize = 64;

/// As Postgres reads bits; `None` for a short vector.
pub(super) fn sketch(vector: &[f32]) -> Option<String> {
    (vector.len() >= LEAST).then(|| {
        let turned = (0..).flat_map(|turn| turned(vector, turn));
        turned.take(BITS).map(|number| if number > 0.0 { '1' } else { '0' }).collect()
    })
}

/// The vector as it stands after the so-many-th of some turns about the origin: always the same ones, each another. As only
/// sums are taken, every machine rounds alike.
fn turned(vector: &[f32], turn: u64) -> Vec<f32> {
    let mut numbers = vector.to_vec();
    numbers.resize(vector.len().next_power_of_two(), 0.0);
    for half in 0..2 {
        for (number, place) in numbers.iter_mut().zip(0_u64..) {
            *number = if is_mirrored((turn * 2 + half) << 32 | place) { -*number } else { *number };
        }
        mix(&mut numbers);
    }
    numbers
}

/// Each number becomes a sum of all, with signs that no other has (Walsh and Hadamard's).
fn mix(numbers: &mut [f32]) {
    let mut span = 1;
    while span < numbers.len() {
        for pair in numbers.chunks_exact_mut(span * 2) {
            let (left, right) = pair.split_at_mut(span);
            for (one, other) in left.iter_mut().zip(right) {
                (*one, *other) = (*one + *other, *one - *other);
            }
        }
        span *= 2;
    }
}

/// A coin's side for each place and turn (splitmix64).
const fn is_mirrored(place: u64) -> bool {
    let seed = place.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed ^ (mixed >> 31)) & 1 == 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embeddings::embed;
    use crate::embeddings::vector::dot;

    fn sketched(vector: &[f32]) -> String {
        sketch(vector).unwrap()
    }

    #[test]
    fn bits_differ_as_the_angle_is_wide() {
        let texts =
            ["how do I brew espresso", "brewing a good espresso takes nine bars", "how to brew an espresso", "no"];
        let vectors = texts.map(|text| embed(text).unwrap());
        for one in &vectors {
            for other in &vectors {
                let (of_one, of_other) = (sketched(one), sketched(other));
                let differing = of_one.bytes().zip(of_other.bytes()).filter(|(a, b)| a != b).count();
                let share = f64::from(u32::try_from(differing).unwrap()) / 1_024.0;
                let angle = dot(one, other).clamp(-1.0, 1.0).acos() / std::f64::consts::PI;
                // Four times what chance alone makes of it.
                assert!((share - angle).abs() < 0.065, "{share} {angle}");
            }
        }
    }

    #[test]
    fn a_sketch_stays_the_same_for_ever() {
        let sketch = sketched(&embed("Ärger mit dem Öl, 東京!").unwrap());
        assert_eq!(sketch.len(), BITS);
        let fold = sketch.bytes().fold(0_u32, |sum, bit| sum.rotate_left(5) ^ u32::from(bit));
        assert_eq!(fold, ANGER);
    }

    const ANGER: u32 = 2_295_424_362;

    #[test]
    fn vectors_of_any_length_have_one_but_short_ones() {
        for length in [64, 100, 768, 1_536, 2_000] {
            let vector: Vec<f32> = (0..length).map(|n: u16| (f32::from(n) * 0.7).sin()).collect();
            let sketch = sketched(&vector);
            assert_eq!(sketch.len(), BITS);
            let ones = sketch.bytes().filter(|bit| *bit == b'1').count();
            assert!((400..624).contains(&ones), "{ones} of {length}");
        }
        assert_eq!(sketch(&[1.0; 63]), None);
    }
}
