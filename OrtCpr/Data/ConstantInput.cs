using System.Collections.Immutable;
using System.Globalization;
using OrtCpr.Graph;

namespace OrtCpr.Data;

/// <summary>An input that is the same for every batch.</summary>
internal sealed class ConstantInput
{
    private readonly string _name;
    private readonly TensorData _value;
    private readonly int _axis, _parts;
    private readonly bool _isRepeated;

    public ConstantInput(BatchInput input, ImmutableDictionary<string, TensorData> values, int axis)
    {
        (_name, _value, _axis) = (input.Name, values[input.Name], axis);
        _isRepeated = axis < _value.Dimensions.Count && _value.Dimensions[axis] == 1 && input.Dimensions?.Count > axis
            && !long.TryParse(input.Dimensions[axis], NumberStyles.None, CultureInfo.InvariantCulture, out _);
        _parts = checked((int)_value.Dimensions.Take(axis).Aggregate(1L, (n, d) => n * d));
    }

    public void AddTo(Batch batch, int rows)
    {
        if (!_isRepeated)
        {
            batch.Add(_name, _value);
            return;
        }
        byte[] bytes = new byte[checked(_value.Bytes.Length * rows)];
        for (int r = 0; r < rows; r++) ExampleAxis.Write(_value.Bytes.Span, bytes, _parts, r, rows);
        batch.Add(_name, TensorData.Create(_value.Type, [.. _value.Dimensions.Select((d, i) => i == _axis ? rows : d)], bytes));
    }
}
