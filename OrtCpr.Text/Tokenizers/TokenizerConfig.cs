using System.Text.Json;
using OrtCpr.Data;

namespace OrtCpr.Text;

/// <summary>What a <c>tokenizer_config.json</c> beside a tokenizer says; everything is null where there is none.</summary>
internal sealed record TokenizerConfig(bool? LowerCase, bool? StripAccents, bool? SplitsChinese, bool? AddsStart, bool? AddsEnd,
    bool? AddsPrefixSpace, int? MaxLength, string? Class)
{
    // Transformers writes 10^30 for "no limit".
    private const double NoLimit = 1e6;

    public static TokenizerConfig Beside(string path)
    {
        string file = Path.Combine(Path.GetDirectoryName(Path.GetFullPath(path))!, "tokenizer_config.json");
        if (!File.Exists(file)) return new TokenizerConfig(null, null, null, null, null, null, null, null);
        using JsonDocument document = JsonFile.Read(file);
        JsonElement root = document.RootElement;
        double? length = root.TryGetProperty("model_max_length", out JsonElement most) && most.ValueKind == JsonValueKind.Number
            ? most.GetDouble() : null;
        return new TokenizerConfig(Flag(root, "do_lower_case"), Flag(root, "strip_accents"), Flag(root, "tokenize_chinese_chars"),
            Flag(root, "add_bos_token"), Flag(root, "add_eos_token"), Flag(root, "add_prefix_space"),
            length is >= 1 and < NoLimit ? (int)length : null,
            root.TryGetProperty("tokenizer_class", out JsonElement kind) && kind.ValueKind == JsonValueKind.String ? kind.GetString()
                : null);
    }

    private static bool? Flag(JsonElement root, string name) => root.TryGetProperty(name, out JsonElement value)
        ? value.ValueKind switch { JsonValueKind.True => true, JsonValueKind.False => false, _ => null } : null;
}

/// <summary>JSON files whose root is an object.</summary>
internal static class JsonFile
{
    public static JsonDocument Read(string path)
    {
        byte[] bytes = DataFile.ReadAll(path);
        ReadOnlyMemory<byte> text = bytes.AsSpan().StartsWith("\uFEFF"u8) ? bytes.AsMemory(3) : bytes;
        JsonDocument document;
        try
        {
            document = JsonDocument.Parse(text, new JsonDocumentOptions { MaxDepth = 64 });
        }
        catch (JsonException error)
        {
            throw new DataFileException($"'{path}', line {error.LineNumber + 1}: it is no JSON: {error.Message}", error);
        }
        if (document.RootElement.ValueKind == JsonValueKind.Object) return document;
        JsonValueKind kind = document.RootElement.ValueKind;
        document.Dispose();
        throw new DataFileException($"'{path}' holds JSON of kind {kind}; expected an object.");
    }
}
