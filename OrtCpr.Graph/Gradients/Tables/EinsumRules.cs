using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Gradients;

/// <summary>Einsum. The gradient of an operand is an Einsum of dy and the other operands.</summary>
internal static class EinsumRules
{
    private const string Letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

    public static readonly IReadOnlyDictionary<string, GradientRule> Table = new Dictionary<string, GradientRule>(StringComparer.Ordinal)
    {
        ["Einsum"] = Einsum,
    };

    private static Value?[] Einsum(GraphBuilder g, Forward op, Term dy)
    {
        (string[] terms, string result) = Terms(op);
        return [.. Enumerable.Range(0, op.InputCount).Select(i => Operand(g, op, dy, terms, result, i))];
    }

    /// <summary>A label that only this operand has was summed: a vector of ones spreads dy along it. A label that it
    /// has twice picked the diagonal: an identity matrix between the label and a fresh one puts dy back
    /// there.</summary>
    private static Term Operand(GraphBuilder g, Forward op, Value dy, string[] terms, string result, int operand)
    {
        Term x = op.In(operand);
        List<Value> values = [dy, .. Enumerable.Range(0, op.InputCount).Where(i => i != operand).Select(op.In)];
        List<string> labels = [result, .. terms.Where((_, i) => i != operand)];
        string target = "";
        for (int axis = 0; axis < terms[operand].Length; axis++)
        {
            char label = terms[operand][axis], own = label;
            if (target.Contains(label, StringComparison.Ordinal))
            {
                own = Letters.First(l => !labels.Concat(terms).Append(target).Any(t => t.Contains(l, StringComparison.Ordinal)));
                values.Add(g.Eye(g.DimOf(x, axis), x.Type));
                labels.Add($"{label}{own}");
            }
            else if (!labels.Any(t => t.Contains(label, StringComparison.Ordinal)))
            {
                values.Add(g.FilledOf(1, g.DimOf(x, axis), x.Type));
                labels.Add($"{label}");
            }
            target += own;
        }
        Term gradient = g.Op("Einsum", [.. values], ("equation", $"{string.Join(',', labels)}->{target}"));
        gradient.Shape ??= new Shape(Enumerable.Repeat(Dim.Unknown, target.Length));
        return gradient;
    }

    /// <summary>Subscripts with one letter an axis: an ellipsis becomes letters of its own, aligned at the right; an
    /// implicit result is what occurs once, sorted.</summary>
    private static (string[] Terms, string Result) Terms(Forward op)
    {
        string equation = op.Node.Text("equation", "").Replace(" ", "", StringComparison.Ordinal)
            .Replace("...", ".", StringComparison.Ordinal);
        string[] sides = equation.Split("->"), terms = sides[0].Split(',');
        string free = new([.. Letters.Where(l => !equation.Contains(l, StringComparison.Ordinal))]);
        string result = sides.Length > 1 ? sides[1] : new([.. terms.SelectMany(t => t).Where(c => c == '.').Take(1),
            .. terms.SelectMany(t => t).Where(c => c != '.').GroupBy(c => c).Where(c => c.Count() == 1).Select(c => c.Key).Order()]);
        int[] widths = [.. terms.Select((t, i) => t.Contains('.', StringComparison.Ordinal) ? op.Rank(i) - t.Length + 1 : 0)];
        int widest = widths.Max();
        string Spelled(string term, int width) => term.Replace(".", free[(widest - width)..widest], StringComparison.Ordinal);
        return ([.. terms.Select((t, i) => Spelled(t, widths[i]))], Spelled(result, widest));
    }
}
