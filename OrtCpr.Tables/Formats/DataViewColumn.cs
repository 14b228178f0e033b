using System.Runtime.InteropServices;
using Microsoft.ML;
using Microsoft.ML.Data;
using OrtCpr.Graph;
using OrtCpr.Tables.Columns;

namespace OrtCpr.Tables.Formats;

/// <summary>Gathers the cells of one column of a cursor.</summary>
internal abstract class DataViewColumn
{
    /// <summary>What a number of ML.NET becomes; null for nothing.</summary>
    public static ElementType? TypeOf(Type type) => Makers.GetValueOrDefault(type)?.Type;

    private sealed record Maker(ElementType Type, Func<DataViewRow, DataViewSchema.Column, DataViewColumn> Make);

    private static readonly Dictionary<Type, Maker> Makers = new()
    {
        [typeof(bool)] = Of<bool>(ElementType.Bool, null),
        [typeof(sbyte)] = Of<sbyte>(ElementType.Int8, null),
        [typeof(byte)] = Of<byte>(ElementType.UInt8, v => v),
        [typeof(short)] = Of<short>(ElementType.Int16, null),
        [typeof(ushort)] = Of<ushort>(ElementType.UInt16, v => v),
        [typeof(int)] = Of<int>(ElementType.Int32, null),
        [typeof(uint)] = Of<uint>(ElementType.UInt32, v => v),
        [typeof(long)] = Of<long>(ElementType.Int64, null),
        [typeof(ulong)] = Of<ulong>(ElementType.UInt64, v => checked((long)v)),
        [typeof(float)] = Of<float>(ElementType.Float, null),
        [typeof(double)] = Of<double>(ElementType.Double, null),
        [typeof(ReadOnlyMemory<char>)] = new(ElementType.String, (row, column) => new TextColumn(row, column)),
    };

    /// <summary>What gathers a column.</summary>
    public static DataViewColumn Of(DataViewRow row, DataViewSchema.Column column) =>
        Makers[(column.Type as VectorDataViewType)?.ItemType.RawType ?? column.Type.RawType].Make(row, column);

    /// <summary>Adds the cell of the row that the cursor is on.</summary>
    public abstract void Add();

    /// <summary>The cells since the last time.</summary>
    public abstract Cells Take();

    // key: the number that a key has in the view; 0 for a missing one, so the first key is 1.
    private static Maker Of<T>(ElementType type, Func<T, long>? key) where T : unmanaged => new(type, (row, column) =>
        ((column.Type as VectorDataViewType)?.ItemType ?? column.Type) is KeyDataViewType
            ? new NumberColumn<T, long>(row, column, ElementType.Int64, v => key!(v) - 1, v => key!(v) == 0)
            : new NumberColumn<T, T>(row, column, type, v => v, null));

    private sealed class TextColumn(DataViewRow row, DataViewSchema.Column column) : DataViewColumn
    {
        private readonly ValueGetter<ReadOnlyMemory<char>> _get = row.GetGetter<ReadOnlyMemory<char>>(column);
        private readonly List<string?> _texts = [];
        private ReadOnlyMemory<char> _text;

        public override void Add()
        {
            _get(ref _text);
            _texts.Add(_text.IsEmpty ? null : _text.ToString());
        }

        public override Cells Take()
        {
            Cells cells = new(ElementType.String, _texts.Count) { Texts = [.. _texts] };
            _texts.Clear();
            return cells;
        }
    }

    private sealed class NumberColumn<T, TStored> : DataViewColumn where T : unmanaged where TStored : unmanaged
    {
        private readonly ValueGetter<T>? _get;
        private readonly ValueGetter<VBuffer<T>>? _getVector;
        private readonly ElementType _type;
        private readonly Func<T, TStored> _convert;
        private readonly Func<T, bool>? _isMissing;
        private readonly List<TStored> _values = [];
        private readonly List<bool> _missing = [];
        private readonly List<int> _offsets = [0];
        private VBuffer<T> _vector;

        public NumberColumn(DataViewRow row, DataViewSchema.Column column, ElementType type, Func<T, TStored> convert,
            Func<T, bool>? isMissing)
        {
            (_type, _convert, _isMissing) = (type, convert, isMissing);
            if (column.Type is VectorDataViewType) _getVector = row.GetGetter<VBuffer<T>>(column);
            else _get = row.GetGetter<T>(column);
        }

        public override void Add()
        {
            if (_get is not null)
            {
                T value = default;
                _get(ref value);
                Add(value);
                return;
            }
            _getVector!(ref _vector);
            foreach (T value in _vector.DenseValues()) Add(value);
            _offsets.Add(_values.Count);
        }

        private void Add(T value)
        {
            bool isMissing = _isMissing?.Invoke(value) ?? false;
            _values.Add(isMissing ? default : _convert(value));
            if (_isMissing is not null) _missing.Add(isMissing);
        }

        public override Cells Take()
        {
            int[]? offsets = _get is null ? [.. _offsets] : null;
            Cells cells = new(_type, offsets is null ? _values.Count : offsets.Length - 1)
            {
                Values = MemoryMarshal.AsBytes(CollectionsMarshal.AsSpan(_values)).ToArray(),
                Missing = _missing.Contains(true) ? [.. _missing] : null,
                Offsets = offsets,
            };
            _values.Clear();
            _missing.Clear();
            _offsets.RemoveRange(1, _offsets.Count - 1);
            return cells;
        }
    }
}
