using Microsoft.ML.OnnxRuntime;
using OrtCpr.Devices;
using OrtCpr.Graph;

namespace OrtCpr.Buffers;

/// <summary>The tensors of a batch on a device that runs in order: their copies go among its work, so neither side waits for the
/// other. ONNX Runtime's own copy, when a host tensor is bound, waits for all work before it. Owns the copies.</summary>
internal sealed class BatchMemory(Device device) : IDisposable
{
    private readonly Dictionary<string, OrtValue> _values = new(StringComparer.Ordinal);

    /// <summary>A tensor where the device reads it: itself where it lies there, or else a copy that is valid until the next
    /// one of that name. The work that reads the last one is in front of the copy.</summary>
    public OrtValue Place(string name, OrtValue value)
    {
        if (!Device.IsOnHost(value)) return value;
        OrtTensorTypeAndShapeInfo info = value.GetTensorTypeAndShape();
        if (_values.TryGetValue(name, out OrtValue? copy))
        {
            OrtTensorTypeAndShapeInfo held = copy.GetTensorTypeAndShape();
            if (held.ElementDataType != info.ElementDataType || !held.Shape.AsSpan().SequenceEqual(info.Shape))
            {
                // Before a new one: where memory is short there may be no room for both.
                _values.Remove(name);
                copy.Dispose();
                copy = null;
            }
        }
        _values[name] = copy ??= device.Allocate((ElementType)(int)info.ElementDataType, info.Shape);
        device.Bring(value, copy);
        return copy;
    }

    public void Dispose()
    {
        foreach (OrtValue value in _values.Values) value.Dispose();
        _values.Clear();
    }
}
