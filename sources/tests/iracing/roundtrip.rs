//! Any valid file reads back as it was written: variables, values bit by bit, however it is packed and ordered.

use boxbox_sources::iracing::{IbtFile, Value};
use proptest::prelude::*;

use crate::writer::{Ibt, Part, TEXT, V, Var, gz};

fn value(kind: i32) -> BoxedStrategy<V> {
    match kind {
        0 => any::<u8>().prop_map(V::Char).boxed(),
        1 => any::<bool>().prop_map(V::Bool).boxed(),
        2 => any::<i32>().prop_map(V::Int).boxed(),
        3 => any::<u32>().prop_map(V::Bits).boxed(),
        // Every bit pattern, NaNs too.
        4 => any::<u32>().prop_map(|b| V::F32(f32::from_bits(b))).boxed(),
        _ => any::<u64>().prop_map(|b| V::F64(f64::from_bits(b))).boxed(),
    }
}

/// A variable's type, count, whether its values are samples in time, unused bytes before it.
type Shape = (i32, usize, bool, usize);

fn shapes() -> impl Strategy<Value = Vec<Shape>> {
    prop::collection::vec((0..6_i32, 1..7_usize, any::<bool>(), 0..5_usize), 0..40)
}

/// The file and its values: record, variable, index.
fn files() -> impl Strategy<Value = (Ibt, Vec<Vec<Vec<V>>>)> {
    let order = Just([Part::Vars, Part::Text, Part::Data]).prop_shuffle();
    (shapes(), 1..20_usize, order, any::<[u8; 3]>(), any::<bool>()).prop_flat_map(|(mut shapes, records, order, gaps, text)| {
        // The clock without which a file is refused, not aligned.
        shapes.push((5, 1, false, 1));
        let row: Vec<_> = shapes.iter().map(|(kind, count, _, _)| prop::collection::vec(value(*kind), *count)).collect();
        prop::collection::vec(row, records).prop_map(move |rows| (file(&shapes, &rows, order, gaps, text), rows))
    })
}

fn file(shapes: &[Shape], rows: &[Vec<Vec<V>>], order: [Part; 3], gaps: [u8; 3], text: bool) -> Ibt {
    let mut vars = Vec::new();
    let mut at = 0;
    for (n, (kind, count, count_as_time, gap)) in shapes.iter().enumerate() {
        at += gap;
        let clock = n + 1 == shapes.len();
        vars.push(Var {
            name: if clock { "SessionTime".into() } else { format!("Variable{n}") },
            unit: if clock { "s".into() } else { format!("unit {n}") },
            description: "x".repeat(n % 65),
            kind: *kind,
            offset: at as i32,
            count: *count as i32,
            count_as_time: *count_as_time,
        });
        at += count * [1, 1, 4, 4, 4, 8][*kind as usize];
    }
    let records = rows
        .iter()
        .map(|row| {
            let mut record = vec![0x55; at];
            for (var, values) in vars.iter().zip(row) {
                let bytes: Vec<u8> = values.iter().flat_map(|v| v.bytes()).collect();
                record[var.offset as usize..][..bytes.len()].copy_from_slice(&bytes);
            }
            record
        })
        .collect();
    let text = if text { TEXT.as_bytes().to_vec() } else { Vec::new() };
    let mut gaps = gaps.map(usize::from);
    // Behind the records unused bytes would be records.
    let data = order.iter().position(|p| *p == Part::Data).expect("data is a part");
    gaps.iter_mut().skip(data + 1).for_each(|gap| *gap = 0);
    Ibt { vars, record_len: at, records, text, order, gaps, tick_rate: 60, declared_records: None }
}

fn same(read: Value, written: V) -> bool {
    match (read, written) {
        (Value::Char(a), V::Char(b)) => a == b,
        (Value::Bool(a), V::Bool(b)) => a == b,
        (Value::Int(a), V::Int(b)) => a == b,
        (Value::Bits(a), V::Bits(b)) => a == b,
        (Value::Float(a), V::F32(b)) => a.to_bits() == b.to_bits(),
        (Value::Double(a), V::F64(b)) => a.to_bits() == b.to_bits(),
        _ => false,
    }
}

fn check(file: &IbtFile, written: &Ibt, values: &[Vec<Vec<V>>]) {
    assert_eq!(file.variables().len(), written.vars.len());
    for (read, var) in file.variables().iter().zip(&written.vars) {
        assert_eq!((&read.name, &read.unit, &read.description), (&var.name, &var.unit, &var.description));
        assert_eq!((read.offset, read.count, read.count_as_time), (var.offset as usize, var.count as usize, var.count_as_time));
    }
    let mut records = file.records().unwrap();
    for (n, row) in values.iter().enumerate() {
        let record = records.next().unwrap().unwrap_or_else(|| panic!("record {n} of {} is missing", values.len()));
        assert_eq!(record.bytes, written.records[n]);
        for (variable, written) in file.variables().iter().zip(row) {
            assert_eq!(variable.value(record.bytes, written.len()), None);
            for (index, v) in written.iter().enumerate() {
                let read = variable.value(record.bytes, index).unwrap();
                assert!(same(read, *v), "{}: {read:?} is not {v:?}", variable.name);
            }
        }
    }
    assert!(records.next().unwrap().is_none());
    assert_eq!(records.read(), values.len() as u64);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn what_is_written_is_read((written, values) in files()) {
        let bytes = written.bytes();
        check(&IbtFile::from_bytes(bytes.clone()).unwrap(), &written, &values);
        check(&IbtFile::from_bytes(gz(&bytes)).unwrap(), &written, &values);
    }
}

#[test]
fn files_are_read_like_memory_and_gzip_is_recognised_by_content() {
    let rows: Vec<_> = (0..3_000).map(|i| vec![V::F64(f64::from(i) / 60.0), V::Int(i), V::Int(2)]).collect();
    let written = Ibt::table(&[("SessionTime", "s"), ("SessionTick", ""), ("SessionNum", "")], &rows).with_text(TEXT);
    let values: Vec<Vec<Vec<V>>> = rows.iter().map(|row| row.iter().map(|v| vec![*v]).collect()).collect();
    let dir = tempfile::tempdir().unwrap();
    // Names that say the opposite of what is in them.
    for (name, bytes) in [("packed.ibt", written.gz()), ("plain.ibt.gz", written.bytes())] {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let file = IbtFile::open(&path).unwrap();
        assert_eq!(file.warnings(), []);
        check(&file, &written, &values);
    }
}
