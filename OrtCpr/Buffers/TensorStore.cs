using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using OrtCpr.Graph;

namespace OrtCpr.Buffers;

// Owner of all tensors that live as long as a driver: parameters, gradients, optimizer state, running statistics. Each is allocated once on the
// device and bound from then on; its address never changes.
internal sealed class TensorStore : IDisposable
{
    private readonly Dictionary<string, OrtValue> _values = new(StringComparer.Ordinal);

    public IReadOnlyCollection<string> Names => _values.Keys;

    public OrtValue this[string name] => _values[name];

    public bool Contains(string name) => _values.ContainsKey(name);

    public OrtValue Allocate(string name, ElementType type, IReadOnlyList<long> dims, TensorData? initial = null)
    {
        var value = OrtValue.CreateAllocatedTensorValue(OrtAllocator.DefaultInstance, (TensorElementType)(int)type, [.. dims]);
        _values.Add(name, value);
        if (initial is not null) Write(name, initial);
        else value.GetTensorMutableRawData().Clear();
        return value;
    }

    // A copy on the host.
    public TensorData Read(string name)
    {
        OrtValue value = _values[name];
        OrtTensorTypeAndShapeInfo info = value.GetTensorTypeAndShape();
        return TensorData.Create((ElementType)(int)info.ElementDataType, info.Shape, value.GetTensorMutableRawData().ToArray());
    }

    public void Write(string name, TensorData data)
    {
        OrtValue value = _values[name];
        OrtTensorTypeAndShapeInfo info = value.GetTensorTypeAndShape();
        var type = (ElementType)(int)info.ElementDataType;
        if (data.Type != type && data.Type.IsFloating() && type.IsFloating()) data = data.ConvertTo(type);
        if (data.Type != type || !data.Dimensions.SequenceEqual(info.Shape))
            throw new DriverException($"Tensor '{name}' is {type}[{string.Join(',', info.Shape)}]; found {data}.");
        data.Bytes.Span.CopyTo(value.GetTensorMutableRawData());
    }

    // The elements in place; host memory only.
    public Span<T> Span<T>(string name) where T : unmanaged => _values[name].GetTensorMutableDataAsSpan<T>();

    public void Dispose()
    {
        foreach (OrtValue value in _values.Values) value.Dispose();
        _values.Clear();
    }
}
