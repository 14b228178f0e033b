using System.Text.Json;

namespace OrtCpr.Tool.Verify;

/// <summary>The settings of a run, or of one group of it: a key of the group wins over the same key of the run.</summary>
/// <remarks>A key is honoured by being asked for. One that nobody has asked for fails the case: it may be misspelt, of another program, or
/// of another algorithm, and then the run would not be the one that was recorded.</remarks>
internal sealed class CaseConfig(JsonElement run, JsonElement? group = null)
{
    private readonly HashSet<string> _used = new(StringComparer.Ordinal);

    /// <summary>A number; the fallback where there is none.</summary>
    public double Number(string key, double? fallback = null) => Read(key, JsonValueKind.Number, "a number", fallback, v => v.GetDouble());

    /// <summary>A whole number; the fallback where there is none.</summary>
    public long Whole(string key, long? fallback = null) =>
        Read(key, JsonValueKind.Number, "a whole number", fallback, v => v.TryGetInt64(out long n) ? n : (long)v.GetDouble());

    /// <summary>Whether something is on; off where nothing is said.</summary>
    public bool Flag(string key) => Value(key) is JsonElement v
        && (v.ValueKind is JsonValueKind.True or JsonValueKind.False ? v.GetBoolean() : throw Wrong(key, v, "true or false"));

    /// <summary>Numbers; the fallback where there are none.</summary>
    public double[] Numbers(string key, params double[] fallback) => Value(key) is not JsonElement v ? fallback
        : v.ValueKind == JsonValueKind.Array && v.GetArrayLength() == fallback.Length
            && v.EnumerateArray().All(n => n.ValueKind == JsonValueKind.Number)
            ? [.. v.EnumerateArray().Select(n => n.GetDouble())] : throw Wrong(key, v, $"{fallback.Length} numbers");

    /// <summary>One of several texts, by its meaning; the fallback where there is none.</summary>
    public T Choice<T>(string key, IReadOnlyDictionary<string, T> choices, string? fallback = null)
    {
        if (Value(key) is not JsonElement v) return choices[fallback ?? throw Missing(key)];
        // JSON's true and false may stand for texts.
        return choices.TryGetValue(v.ToString().ToLowerInvariant(), out T? found) ? found
            : throw Wrong(key, v, $"one of {string.Join(", ", choices.Keys)}");
    }

    /// <summary>The value of a key; null where there is none.</summary>
    public JsonElement? Value(string key)
    {
        _used.Add(key);
        return Get(group, key) ?? Get(run, key);
    }

    /// <summary>Names keys that say how the case came about and decide nothing here.</summary>
    public void Describes(params IReadOnlyList<string> keys) => _used.UnionWith(keys);

    /// <summary>Refuses settings that none of these has asked for and that say something: not null, not off, not 0.</summary>
    /// <param name="configs">All groups of a run, or the run itself.</param>
    public static void RefuseUnused(params IReadOnlyList<CaseConfig> configs)
    {
        var used = configs.SelectMany(c => c._used).ToHashSet(StringComparer.Ordinal);
        List<string> strange = [.. Says(configs[0].Run, used)];
        foreach (CaseConfig c in configs) strange.AddRange(Says(c.Group, c._used));
        if (strange.Count == 0) return;
        throw new CaseException($"the config says what this run has no use for: {string.Join(", ", strange.Distinct())}; a setting that is "
            + "not honoured would make it another run");
    }

    private JsonElement Run => run;

    private JsonElement? Group => group;

    private static IEnumerable<string> Says(JsonElement? from, HashSet<string> used) => from is not JsonElement all ? []
        : all.EnumerateObject().Where(p => !used.Contains(p.Name) && !IsNothing(p.Value)).Select(p => $"'{p.Name}' {p.Value}");

    private static bool IsNothing(JsonElement value) => value.ValueKind is JsonValueKind.Null or JsonValueKind.False
        || (value.ValueKind == JsonValueKind.Number && value.GetDouble() == 0)
            || (value.ValueKind == JsonValueKind.String && value.GetString()!.Length == 0);

    private static JsonElement? Get(JsonElement? from, string key) =>
        from is JsonElement all && all.TryGetProperty(key, out JsonElement v) && v.ValueKind != JsonValueKind.Null ? v : null;

    private T Read<T>(string key, JsonValueKind kind, string expected, T? fallback, Func<JsonElement, T> read) where T : struct =>
        Value(key) is not JsonElement v ? fallback ?? throw Missing(key) : v.ValueKind == kind ? read(v) : throw Wrong(key, v, expected);

    private static CaseException Missing(string key) => new($"the config has no '{key}'");

    private static CaseException Wrong(string key, JsonElement found, string expected) =>
        new($"'{key}' of the config is {found}; expected {expected}");
}
