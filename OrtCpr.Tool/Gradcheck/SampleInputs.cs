using System.Globalization;
using OrtCpr.Checkpoints;
using OrtCpr.Graph;

namespace OrtCpr.Tool.Gradcheck;

// A batch drawn by shape and type, or read from files where the user names them.
internal sealed class SampleInputs
{
    private const long DefaultSize = 2;

    private readonly Dictionary<string, string> _sizes;
    private readonly Dictionary<string, string> _ranges;
    private readonly Dictionary<string, string> _files;
    private readonly Random _random;

    public SampleInputs(string[] sizes, string[] ranges, string[] files, int seed)
    {
        _sizes = Pairs(sizes, "--size", "batch=4");
        _ranges = Pairs(ranges, "--range", "input_ids=0..100");
        _files = Pairs(files, "--input", "image=batch.safetensors");
        _random = new Random(seed);
    }

    // known: values of some inputs, which are neither read nor drawn.
    public Batch For(IReadOnlyList<BatchInput> inputs, IReadOnlyDictionary<string, TensorData>? known = null)
    {
        string[] unknown = [.. _ranges.Keys.Concat(_files.Keys).Where(n => inputs.All(i => i.Name != n)).Select(n => $"'{n}'")];
        if (unknown.Length > 0)
        {
            throw new ToolException($"{string.Join(", ", unknown)}: no such input. Inputs are {string.Join(", ", inputs)}.");
        }
        var batch = new Batch();
        foreach (BatchInput input in inputs)
        {
            batch.Add(input.Name, known?.GetValueOrDefault(input.Name) is TensorData value ? value.ConvertTo(input.Type) : Value(input));
        }
        return batch;
    }

    public TensorData Value(BatchInput input) => _files.TryGetValue(input.Name, out string? path) ? Read(input, path) : Draw(input);

    private static TensorData Read(BatchInput input, string path)
    {
        using SafetensorsFile file = SafetensorsFile.Read(path);
        if (!file.Tensors.TryGetValue(input.Name, out TensorData? data))
        {
            throw new ToolException($"'{path}' has no tensor '{input.Name}'; it has "
                + $"{string.Join(", ", file.Tensors.Keys.Order(StringComparer.Ordinal))}.");
        }
        return data.Type == input.Type ? TensorData.Create(data.Type, data.Dimensions, data.Bytes.ToArray()) : data.ConvertTo(input.Type);
    }

    private TensorData Draw(BatchInput input)
    {
        if (input.Dimensions is null)
        {
            throw new ToolException($"The rank of {input} is unknown; give its values by --input {input.Name}=FILE.safetensors.");
        }
        long[] dims = [.. input.Dimensions.Select(Size)];
        double[] values = new double[dims.Aggregate(1L, (n, d) => n * d)];
        (long least, long most) = Range(input);
        for (int i = 0; i < values.Length; i++)
        {
            values[i] = input.Type.IsFloating() ? (2 * _random.NextDouble()) - 1 : _random.NextInt64(least, most + 1);
        }
        return input.Type switch
        {
            ElementType.Bool => TensorData.From<bool>([.. values.Select(v => v != 0)], dims),
            ElementType.Int64 => TensorData.From<long>([.. values.Select(v => (long)v)], dims),
            ElementType.Int32 => TensorData.From<int>([.. values.Select(v => (int)v)], dims),
            _ when input.Type.IsFloating() => TensorData.From<double>(values, dims).ConvertTo(input.Type),
            _ => throw new ToolException($"No values can be drawn for {input}; give them by --input {input.Name}=FILE.safetensors."),
        };
    }

    private long Size(string dim) => long.TryParse(dim, CultureInfo.InvariantCulture, out long known) ? known
        : !_sizes.TryGetValue(dim, out string? text) ? DefaultSize
        : long.TryParse(text, CultureInfo.InvariantCulture, out long n) && n > 0 ? n
            : throw new ToolException($"--size '{dim}={text}': expected a number of at least 1.");

    private (long, long) Range(BatchInput input)
    {
        if (!_ranges.TryGetValue(input.Name, out string? text)) return (0, 1);
        string[] ends = text.Split("..");
        return ends.Length == 2 && long.TryParse(ends[0], CultureInfo.InvariantCulture, out long a)
            && long.TryParse(ends[1], CultureInfo.InvariantCulture, out long b) && a <= b ? (a, b)
            : throw new ToolException($"--range '{input.Name}={text}': expected FIRST..LAST, such as {input.Name}=0..100.");
    }

    private static Dictionary<string, string> Pairs(string[] given, string option, string example)
    {
        var pairs = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (string text in given)
        {
            int equals = text.IndexOf('=', StringComparison.Ordinal);
            if (equals <= 0) throw new ToolException($"{option} '{text}': expected NAME=VALUE, such as {example}.");
            pairs[text[..equals]] = text[(equals + 1)..];
        }
        return pairs;
    }
}
