using Microsoft.ML.OnnxRuntime;
using OrtCpr.Devices;
using OrtCpr.Graph;

namespace OrtCpr.Buffers;

/// <summary>Owner of all tensors that live as long as a driver: parameters, gradients, optimizer state, running
/// statistics. Each is allocated once on the device, parameters and what belongs to them as slices of flat memory where
/// the device's memory has addresses, and is bound from then on; its address never changes. Small inputs that the host
/// decides on (rates, flags) have a copy on the host too, which goes to the device before a run when it has changed.</summary>
internal sealed class TensorStore : IDisposable
{
    private readonly Dictionary<string, OrtValue> _values = new(StringComparer.Ordinal);
    private readonly Dictionary<string, OrtValue> _hostCopies = new(StringComparer.Ordinal);
    private readonly HashSet<string> _changed = new(StringComparer.Ordinal);
    private readonly HashSet<string> _slices = new(StringComparer.Ordinal);
    private readonly FlatMemory? _flat;
    private readonly Device _device;

    /// <summary>Allocates every tensor of a plan.</summary>
    /// <param name="device">Where.</param>
    /// <param name="plan">The table of tensors.</param>
    public TensorStore(Device device, TrainingPlan plan)
    {
        _device = device;
        try
        {
            if (device.Memory is not null)
            {
                Layout = FlatLayout.Of(plan);
                _flat = new FlatMemory(device, Layout);
                foreach (FlatSegment segment in Layout.Segments) AddSlices(plan, segment);
            }
            foreach (TensorSlot slot in plan.Slots)
            {
                if (slot.IsHostInput) AllocateInput(slot);
                else if (!_slices.Contains(slot.Key)) Allocate(slot);
                if (slot.Initial is not null) Write(slot.Key, slot.Initial);
            }
        }
        catch (DeviceException error) when (error.IsOutOfMemory)
        {
            Dispose();
            string[] kinds = [.. plan.Slots.GroupBy(s => s.Role)
                .Select(r => (Role: r.Key, Bytes: r.Sum(s => s.ElementCount * s.Type.BitsPerElement() / 8)))
                .OrderByDescending(r => r.Bytes).Take(3).Select(r => $"{r.Role} {r.Bytes / 1048576.0:F1} MiB")];
            throw new DeviceException($"{error.Message} What the job keeps there: {string.Join(", ", kinds)}. Train fewer parameters "
                + "(freeze some, or train adapters), take an optimizer with less state, or use another device.", error);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public Device Device => _device;

    /// <summary>Where tensors lie in flat memory; null where they do not.</summary>
    public FlatLayout? Layout { get; }

    public IReadOnlyCollection<string> Names => _values.Keys;

    public OrtValue this[string name] => _values[name];

    public bool Contains(string name) => _values.ContainsKey(name);

    /// <summary>A kind of tensors of a segment as one tensor.</summary>
    public OrtValue Segment(FlatSegment segment, TensorRole role, string kind) => _flat!.Segment(segment, role, kind);

    private void AddSlices(TrainingPlan plan, FlatSegment segment)
    {
        foreach ((TensorRole role, string kind) in segment.Kinds)
        {
            for (int i = 0; i < segment.Owners.Count; i++)
            {
                TensorSlot slot = plan.Find(role, segment.Owners[i], kind)!;
                _values.Add(slot.Key, _flat!.Slice(segment, slot, i));
                _slices.Add(slot.Key);
            }
        }
    }

    private void Allocate(TensorSlot slot)
    {
        OrtValue value = _device.Allocate(slot.Type, slot.Dimensions);
        _values.Add(slot.Key, value);
        _device.Clear(value);
    }

    private void AllocateInput(TensorSlot slot)
    {
        Allocate(slot);
        if (_device.IsHost) return;
        OrtValue copy = Device.AllocateOnHost(slot.Type, slot.Dimensions);
        copy.GetTensorMutableRawData().Clear();
        _hostCopies.Add(slot.Key, copy);
    }

    /// <summary>The elements of an input that the host writes, for reading.</summary>
    public ReadOnlySpan<T> Input<T>(string name) where T : unmanaged => HostSide(name).GetTensorDataAsSpan<T>();

    public void SetInput<T>(string name, int index, T value) where T : unmanaged, IEquatable<T>
    {
        Span<T> elements = HostSide(name).GetTensorMutableDataAsSpan<T>();
        if (elements[index].Equals(value)) return;
        elements[index] = value;
        _changed.Add(name);
    }

    /// <summary>What a session that keeps an input on the host is given instead of the device's tensor.</summary>
    public OrtValue HostSide(string name) => _hostCopies.TryGetValue(name, out OrtValue? copy) ? copy : _values[name];

    public bool IsInput(string name) => _hostCopies.ContainsKey(name);

    /// <summary>Brings inputs that have changed to the device.</summary>
    public void Flush()
    {
        if (_changed.Count == 0) return;
        if (!_device.IsHost)
        {
            foreach (string name in _changed) _device.Copy(_hostCopies[name], _values[name]);
        }
        _changed.Clear();
    }

    /// <summary>A copy on the host.</summary>
    public TensorData Read(string name) => _device.Read(_values[name]);

    public void Write(string name, TensorData data)
    {
        OrtValue value = _values[name];
        OrtTensorTypeAndShapeInfo info = value.GetTensorTypeAndShape();
        var type = (ElementType)(int)info.ElementDataType;
        if (data.Type != type && data.Type.IsFloating() && type.IsFloating()) data = data.ConvertTo(type);
        if (data.Type != type || !data.Dimensions.SequenceEqual(info.Shape))
            throw new DriverException($"Tensor '{name}' is {type}[{string.Join(',', info.Shape)}]; found {data}.");
        _device.Write(value, data.Bytes.Span);
        if (_hostCopies.TryGetValue(name, out OrtValue? copy)) data.Bytes.Span.CopyTo(copy.GetTensorMutableRawData());
    }

    /// <summary>Overwrites a tensor.</summary>
    public void WriteBytes(string name, ReadOnlySpan<byte> bytes) => _device.Write(_values[name], bytes);

    /// <summary>One element of a tensor as a number, without a copy where the device is the host.</summary>
    public double Number(string name, int index = 0)
    {
        OrtValue value = _values[name];
        if (!_device.IsHost) return _device.Read(value).ToDoubles()[index];
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
        foreach ((string name, OrtValue value) in _values)
        {
            if (!_slices.Contains(name)) value.Dispose();
        }
        foreach (OrtValue copy in _hostCopies.Values) copy.Dispose();
        _flat?.Dispose();
        _values.Clear();
        _hostCopies.Clear();
    }
}
