using System.Globalization;

namespace OrtCpr.Graph.Ir;

/// <summary>Hands out every name of a model, so that no two values or nodes of any of its graphs clash. A generated
/// name starts with the name of what it came from: fc1.weight → fc1.weight_grad →
/// fc1.weight_grad/Transpose_1.</summary>
internal sealed class NameAuthority
{
    private readonly HashSet<string> _taken = new(StringComparer.Ordinal);
    private readonly Dictionary<string, int> _next = new(StringComparer.Ordinal);

    /// <summary>Marks a name as used; false when it already was.</summary>
    public bool Take(string name) => _taken.Add(name);

    /// <summary>The name itself when it is free, else with the first free number after it.</summary>
    public string Unique(string wanted)
    {
        if (_taken.Add(wanted)) return wanted;
        int n = _next.GetValueOrDefault(wanted, 1);
        string candidate;
        do candidate = string.Create(CultureInfo.InvariantCulture, $"{wanted}_{n++}");
        while (!_taken.Add(candidate));
        _next[wanted] = n;
        return candidate;
    }
}
