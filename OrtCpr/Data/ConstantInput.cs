using System.Collections.Immutable;
using System.Globalization;
using OrtCpr.Graph;

namespace OrtCpr.Data;

/// <summary>An input that is the same for every batch.</summary>
internal sealed class ConstantInput
{
    private readonly string _name;
    private readonly TensorData _value;
    private readonly bool _isRepeated;

    public ConstantInput(BatchInput input, ImmutableDictionary<string, TensorData> values)
    {
        (_name, _value) = (input.Name, values[input.Name]);
        _isRepeated = _value.Dimensions is [1, ..] && input.Dimensions is [string first, ..]
            && !long.TryParse(first, NumberStyles.None, CultureInfo.InvariantCulture, out _);
    }

    public void AddTo(Batch batch, int rows)
    {
        if (!_isRepeated)
        {
            batch.Add(_name, _value);
            return;
        }
        byte[] bytes = new byte[checked(_value.Bytes.Length * rows)];
        for (int i = 0; i < rows; i++) _value.Bytes.Span.CopyTo(bytes.AsSpan(i * _value.Bytes.Length));
        batch.Add(_name, TensorData.Create(_value.Type, [rows, .. _value.Dimensions.Skip(1)], bytes));
    }
}
