using System.Diagnostics.CodeAnalysis;
using Microsoft.ML.OnnxRuntime;
using Samples;

namespace Service;

// What a request must be like, as the model tells it: rows of numbers go in, a number for each class comes out.
internal sealed record ModelShape(string Input, long[] RowDimensions, string Output, int Classes)
{
    public const int MostRows = 1024;

    public int RowLength => (int)RowDimensions.Aggregate(1L, (n, d) => n * d);

    public static ModelShape Of(InferenceSession session, string path)
    {
        KeyValuePair<string, NodeMetadata>[] inputs = [.. session.InputMetadata];
        (string output, NodeMetadata result) = session.OutputMetadata.First();
        if (inputs is [var input] && input.Value.ElementType == typeof(float) && input.Value.Dimensions is [-1, .. int[] row]
            && row.All(d => d > 0) && result.ElementType == typeof(float) && result.Dimensions is [-1, > 1 and int classes])
        {
            return new(input.Key, [.. row.Select(d => (long)d)], output, classes);
        }
        throw new SampleException($"'{path}' has the inputs {string.Join(", ", inputs.Select(i => Text(i.Key, i.Value)))} and the "
            + $"output {Text(output, result)}; expected one input of float32 with a free batch and no other free axis, and logits "
            + "[batch, classes].");

        static string Text(string name, NodeMetadata data) => $"{name} {data.ElementType?.Name}[{string.Join(", ", data.Dimensions)}]";
    }

    // All rows in one array; false and what is wrong where they are no rows of this model.
    public bool TryFlatten([NotNullWhen(true)] float[][]? rows, [NotNullWhen(true)] out float[]? flat, out string problem)
    {
        flat = null;
        problem = rows is null or [] ? "x is missing or empty; expected rows of numbers"
            : rows.Length > MostRows ? $"x has {rows.Length} rows; expected {MostRows} at most"
            : Array.FindIndex(rows, r => r is null || r.Length != RowLength) is int i and >= 0
                ? $"row {i} of x has {rows[i]?.Length ?? 0} numbers; expected {RowLength}"
            : Array.FindIndex(rows, r => !r.All(float.IsFinite)) is int j and >= 0
                ? $"row {j} of x has a number that float32 cannot hold" : "";
        if (problem.Length > 0) return false;
        flat = [.. rows!.SelectMany(r => r)];
        return true;
    }

    public string? ProblemOf(long[]? labels, int rows) =>
        labels is null || labels.Length != rows ? $"labels has {labels?.Length ?? 0} numbers; expected {rows}, one a row of x"
        : Array.FindIndex(labels, l => l < 0 || l >= Classes) is int i and >= 0
            ? $"label {i} is {labels[i]}; expected 0 to {Classes - 1}" : null;
}
