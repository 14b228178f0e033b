using Microsoft.ML.OnnxRuntime;
using OrtCpr.Devices;
using OrtCpr.Graph;

namespace OrtCpr.Buffers;

// Owner of all tensors that live as long as a driver: parameters, gradients, optimizer state, running statistics. Each is allocated once on the
// device and bound from then on; its address never changes. Small inputs that the host decides on (rates, flags) have a copy on the host too,
// which goes to the device before a run when it has changed.
internal sealed class TensorStore(Device device) : IDisposable
{
    private readonly Dictionary<string, OrtValue> _values = new(StringComparer.Ordinal);
    private readonly Dictionary<string, OrtValue> _hostCopies = new(StringComparer.Ordinal);
    private readonly HashSet<string> _changed = new(StringComparer.Ordinal);

    public Device Device => device;

    public IReadOnlyCollection<string> Names => _values.Keys;

    public OrtValue this[string name] => _values[name];

    public bool Contains(string name) => _values.ContainsKey(name);

    public OrtValue Allocate(string name, ElementType type, IReadOnlyList<long> dims, TensorData? initial = null)
    {
        OrtValue value = device.Allocate(type, dims);
        _values.Add(name, value);
        if (initial is not null) Write(name, initial);
        else if (device.IsHost) value.GetTensorMutableRawData().Clear();
        else device.Write(value, new byte[value.GetTensorSizeInBytes()]);
        return value;
    }

    // An input that the host writes.
    public void AllocateInput(string name, ElementType type, IReadOnlyList<long> dims)
    {
        Allocate(name, type, dims);
        if (device.IsHost) return;
        OrtValue copy = Device.AllocateOnHost(type, dims);
        copy.GetTensorMutableRawData().Clear();
        _hostCopies.Add(name, copy);
    }

    // The elements of an input that the host writes, for reading.
    public ReadOnlySpan<T> Input<T>(string name) where T : unmanaged => HostSide(name).GetTensorDataAsSpan<T>();

    public void SetInput<T>(string name, int index, T value) where T : unmanaged, IEquatable<T>
    {
        Span<T> elements = HostSide(name).GetTensorMutableDataAsSpan<T>();
        if (elements[index].Equals(value)) return;
        elements[index] = value;
        _changed.Add(name);
    }

    // What a session that keeps an input on the host is given instead of the device's tensor.
    public OrtValue HostSide(string name) => _hostCopies.TryGetValue(name, out OrtValue? copy) ? copy : _values[name];

    public bool IsInput(string name) => _hostCopies.ContainsKey(name);

    // Brings inputs that have changed to the device.
    public void Flush()
    {
        if (_changed.Count == 0) return;
        if (!device.IsHost)
        {
            foreach (string name in _changed) device.Copy(_hostCopies[name], _values[name]);
        }
        _changed.Clear();
    }

    // A copy on the host.
    public TensorData Read(string name) => device.Read(_values[name]);

    public void Write(string name, TensorData data)
    {
        OrtValue value = _values[name];
        OrtTensorTypeAndShapeInfo info = value.GetTensorTypeAndShape();
        var type = (ElementType)(int)info.ElementDataType;
        if (data.Type != type && data.Type.IsFloating() && type.IsFloating()) data = data.ConvertTo(type);
        if (data.Type != type || !data.Dimensions.SequenceEqual(info.Shape))
            throw new DriverException($"Tensor '{name}' is {type}[{string.Join(',', info.Shape)}]; found {data}.");
        device.Write(value, data.Bytes.Span);
        if (_hostCopies.TryGetValue(name, out OrtValue? copy)) data.Bytes.Span.CopyTo(copy.GetTensorMutableRawData());
    }

    // Overwrites part of a tensor, from a byte offset on.
    public void WriteBytes(string name, int offset, ReadOnlySpan<byte> bytes)
    {
        if (device.IsHost)
        {
            bytes.CopyTo(_values[name].GetTensorMutableRawData()[offset..]);
            return;
        }
        byte[] all = device.Read(_values[name]).Bytes.ToArray();
        bytes.CopyTo(all.AsSpan(offset));
        device.Write(_values[name], all);
    }

    // One element of a tensor as a number, without a copy where the device is the host.
    public double Number(string name, int index = 0)
    {
        OrtValue value = _values[name];
        if (!device.IsHost) return device.Read(value).ToDoubles()[index];
        return (ElementType)(int)value.GetTensorTypeAndShape().ElementDataType switch
        {
            ElementType.Double => value.GetTensorDataAsSpan<double>()[index],
            ElementType.Int64 => value.GetTensorDataAsSpan<long>()[index],
            ElementType.Bool => value.GetTensorDataAsSpan<bool>()[index] ? 1 : 0,
            _ => value.GetTensorDataAsSpan<float>()[index],
        };
    }

    public void Dispose()
    {
        foreach (OrtValue value in _values.Values.Concat(_hostCopies.Values)) value.Dispose();
        _values.Clear();
        _hostCopies.Clear();
    }
}
