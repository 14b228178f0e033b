using Microsoft.ML.OnnxRuntime;
using OrtCpr.Devices;
using OrtCpr.Graph;

namespace OrtCpr;

/// <summary>Named tensors for one step, over the caller's memory.</summary>
/// <remarks>Owns the ONNX Runtime views of the arrays, not the arrays; they must not change during a step. Labels have
/// the names of the loss (<see cref="Graph.Losses.Loss.Labels"/>). Not thread-safe.</remarks>
public sealed class Batch : IDisposable
{
    private readonly Dictionary<string, OrtValue> _tensors = new(StringComparer.Ordinal);
    private readonly HashSet<OrtValue> _borrowed = new(ReferenceEqualityComparer.Instance);

    /// <summary>Told once when nobody uses the arrays any more.</summary>
    internal Action? Released { get; set; }

    /// <summary>What was added, by name. Values that the batch has made end with it.</summary>
    public IReadOnlyDictionary<string, OrtValue> Tensors => _tensors;

    /// <summary>The number of examples where whoever made the batch knows it.</summary>
    internal long? Examples { get; init; }

    /// <summary>Whether it holds nothing, for a rank that has no examples while others have.</summary>
    internal bool IsPadding { get; init; }

    /// <summary>The number of examples: a loader's own count, or else the first dimension of the first tensor that has one; 1 where there
    /// is none.</summary>
    public long Rows => Examples ?? _tensors.Values.Select(v => v.GetTensorTypeAndShape().Shape).FirstOrDefault(s => s.Length > 0)?[0] ?? 1;

    /// <summary>Adds a tensor over an array, without a copy.</summary>
    /// <param name="name">Input of the model, or labels of the loss.</param>
    /// <param name="data">The elements in row-major order.</param>
    /// <param name="shape">Dimensions; their product must be the number of elements.</param>
    /// <returns>This batch.</returns>
    /// <exception cref="DriverException">The name is given twice, or shape and elements disagree.</exception>
    public Batch Add<T>(string name, Memory<T> data, params long[] shape) where T : unmanaged
    {
        ArgumentNullException.ThrowIfNull(shape);
        long count = shape.Aggregate(1L, (n, d) => n * d);
        if (shape.Any(d => d < 0) || count != data.Length)
        {
            throw new DriverException(
                $"Batch entry '{name}': shape [{string.Join(',', shape)}] has {count} elements; found {data.Length}.");
        }
        if (_tensors.ContainsKey(name)) throw new DriverException($"Batch entry '{name}' is given twice.");
        _tensors[name] = OrtValue.CreateTensorValueFromMemory(Device.Host, data, shape);
        return this;
    }

    /// <summary>Adds a tensor over an array, without a copy.</summary>
    /// <param name="name">Input of the model, or labels of the loss.</param>
    /// <param name="data">The elements in row-major order.</param>
    /// <param name="shape">Dimensions; their product must be the number of elements.</param>
    /// <returns>This batch.</returns>
    /// <exception cref="DriverException">The name is given twice, or shape and elements disagree.</exception>
    public Batch Add<T>(string name, T[] data, params long[] shape) where T : unmanaged => Add(name, data.AsMemory(), shape);

    /// <summary>Adds a tensor as a copy.</summary>
    /// <param name="name">Input of the model, or labels of the loss.</param>
    /// <param name="data">Any element type but texts; may be given up afterwards.</param>
    /// <returns>This batch.</returns>
    /// <exception cref="DriverException">The name is given twice.</exception>
    public Batch Add(string name, TensorData data)
    {
        ArgumentNullException.ThrowIfNull(data);
        if (_tensors.ContainsKey(name)) throw new DriverException($"Batch entry '{name}' is given twice.");
        OrtValue value = Device.AllocateOnHost(data.Type, data.Dimensions);
        data.Bytes.Span.CopyTo(value.GetTensorMutableRawData());
        // The bytes may be those of a mapped file, which ends with their owner.
        GC.KeepAlive(data);
        _tensors[name] = value;
        return this;
    }

    /// <summary>Adds a tensor of ONNX Runtime, without a copy.</summary>
    /// <param name="name">Input of the model, or labels of the loss.</param>
    /// <param name="value">A dense tensor, in host memory or on the driver's device. Stays the caller's, and must live
    /// as long as this batch.</param>
    /// <returns>This batch.</returns>
    /// <exception cref="DriverException">The name is given twice, or the value is no tensor.</exception>
    public Batch Add(string name, OrtValue value)
    {
        ArgumentNullException.ThrowIfNull(value);
        if (!value.IsTensor)
            throw new DriverException($"Batch entry '{name}' is of ONNX Runtime's type {value.OnnxType}; expected a dense tensor.");
        if (!_tensors.TryAdd(name, value)) throw new DriverException($"Batch entry '{name}' is given twice.");
        _borrowed.Add(value);
        return this;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (OrtValue value in _tensors.Values.Where(v => !_borrowed.Contains(v))) value.Dispose();
        _tensors.Clear();
        _borrowed.Clear();
        Action? released = Released;
        Released = null;
        released?.Invoke();
    }

    /// <summary>Packed elements of a type that is known only now, in a pinned array; without a copy. The array must
    /// live until Released is called.</summary>
    internal unsafe void AddPinned(string name, ElementType type, byte[] data, int length, long[] shape)
    {
        nint pointer =
            (nint)System.Runtime.CompilerServices.Unsafe.AsPointer(
                ref System.Runtime.InteropServices.MemoryMarshal.GetArrayDataReference(data));
        _tensors.Add(name,
            OrtValue.CreateTensorValueWithData(Device.Host, (Microsoft.ML.OnnxRuntime.Tensors.TensorElementType)(int)type, shape, pointer,
                length));
    }

    /// <summary>Over values that stay the caller's.</summary>
    internal static Batch Over(IEnumerable<(string Name, OrtValue Value)> values)
    {
        var batch = new Batch();
        foreach ((string name, OrtValue value) in values)
        {
            batch._tensors[name] = value;
            batch._borrowed.Add(value);
        }
        return batch;
    }

    /// <summary>All problems at once, before anything changes. <c>why</c>: what to tell where a size is not the fixed one.</summary>
    internal void Check(IReadOnlyList<BatchInput> expected, bool withLabels = true, string? why = null)
    {
        var problems = new List<string>();
        bool sizes = false;
        var symbols = new Dictionary<string, (long Size, string Input)>(StringComparer.Ordinal);
        foreach (BatchInput input in expected)
        {
            if (input.IsLabel && !withLabels) continue;
            if (input.Type == ElementType.Undefined)
            {
                problems.Add(
                    $"'{input.Name}' is no dense tensor (a sparse one, or a sequence), which a batch cannot hold: "
                    + "make it an initializer of the model, or export the model with a dense input");
                continue;
            }
            if (!_tensors.TryGetValue(input.Name, out OrtValue? value))
            {
                problems.Add($"{input} is missing");
                continue;
            }
            OrtTensorTypeAndShapeInfo info = value.GetTensorTypeAndShape();
            var type = (ElementType)(int)info.ElementDataType;
            string found = $"{type}[{string.Join(',', info.Shape)}]";
            if (type != input.Type || (input.Dimensions is not null && input.Dimensions.Count != info.Shape.Length))
            {
                problems.Add($"expected {input}, found {found}");
                continue;
            }
            for (int i = 0; i < (input.Dimensions?.Count ?? 0); i++)
            {
                string dim = input.Dimensions![i];
                long size = info.Shape[i];
                if (dim == "?") continue;
                if (long.TryParse(dim, System.Globalization.CultureInfo.InvariantCulture, out long known))
                {
                    if (known == size) continue;
                    problems.Add($"expected {input}, found {found}: dimension {i} must be {known}");
                    sizes = true;
                }
                else if (!symbols.TryAdd(dim, (size, input.Name)) && symbols[dim].Size != size)
                {
                    problems.Add($"expected {input}, found {found}: '{dim}' is {symbols[dim].Size} in '{symbols[dim].Input}'");
                }
            }
        }
        foreach (string extra in _tensors.Keys.Where(k => expected.All(e => e.Name != k)))
            problems.Add($"'{extra}' is not an input; inputs are {string.Join(", ", expected)}");
        if (problems.Count == 0) return;
        throw new DriverException(
            $"The batch does not fit the model: {string.Join("; ", problems)}.{(sizes && why is not null ? $" {why}" : "")}");
    }
}
