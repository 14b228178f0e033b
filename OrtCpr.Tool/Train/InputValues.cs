using System.Collections.Immutable;
using System.Globalization;
using OrtCpr.Graph;

namespace OrtCpr.Tool.Train;

// --set INPUT=VALUE: inputs of the model that are the same for every batch.
internal static class InputValues
{
    public static ImmutableDictionary<string, TensorData> Parse(IEnumerable<string> texts, IReadOnlyList<BatchInput> inputs)
    {
        ImmutableDictionary<string, TensorData>.Builder all =
            ImmutableDictionary.CreateBuilder<string, TensorData>(StringComparer.Ordinal);
        foreach (string text in texts)
        {
            int at = text.LastIndexOf('=');
            if (at <= 0 || at == text.Length - 1) throw new ToolException($"--set '{text}': expected INPUT=VALUE, as sr=16000.");
            string name = text[..at];
            BatchInput input = inputs.FirstOrDefault(i => i.Name == name)
                ?? throw new ToolException($"--set '{text}': there is no input '{name}'; there are {string.Join(", ", inputs)}.");
            all[name] = Value(text, input, text[(at + 1)..].Split(','));
        }
        return all.ToImmutable();
    }

    // One number stands for every element; a list has one for each. A size that is open is 1, and that of the batch its rows.
    private static TensorData Value(string text, BatchInput input, string[] words)
    {
        long[] dims = [.. (input.Dimensions ?? []).Select(d =>
            long.TryParse(d, NumberStyles.None, CultureInfo.InvariantCulture, out long n) ? n : 1)];
        long count = dims.Aggregate(1L, (n, d) => n * d);
        if (words.Length != 1 && words.Length != count)
            throw new ToolException($"--set '{text}': {words.Length} values for input {input}; expected one, or {count}.");
        double[] numbers = [.. words.Select(w => Number(text, input, w.Trim()))];
        double[] values = [.. Enumerable.Range(0, (int)count).Select(i => numbers[words.Length == 1 ? 0 : i])];
        return input.Type switch
        {
            ElementType.Bool => TensorData.From<bool>([.. values.Select(v => v != 0)], dims),
            ElementType.Int32 => TensorData.From<int>([.. values.Select(v => checked((int)v))], dims),
            ElementType.Int64 => TensorData.From<long>([.. values.Select(v => checked((long)v))], dims),
            ElementType.UInt8 => TensorData.From<byte>([.. values.Select(v => checked((byte)v))], dims),
            _ when input.Type.IsFloating() => TensorData.From<double>(values, dims).ConvertTo(input.Type),
            _ => throw new ToolException($"--set '{text}': input {input} is of a type that no number can be written for."),
        };
    }

    private static double Number(string text, BatchInput input, string word) =>
        input.Type == ElementType.Bool && bool.TryParse(word, out bool flag) ? (flag ? 1 : 0)
        : double.TryParse(word, NumberStyles.Float, CultureInfo.InvariantCulture, out double number)
            && (input.Type.IsFloating() || number == Math.Floor(number)) ? number
        : throw new ToolException($"--set '{text}': '{word}' is no value of input {input}.");
}
