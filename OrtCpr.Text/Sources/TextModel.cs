using System.Collections.Immutable;
using System.Text.Json;
using OrtCpr.Data;
using OrtCpr.Graph;
using OrtCpr.Graph.Heads;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Passes;

namespace OrtCpr.Text;

/// <summary>What an exported model of texts says of its inputs.</summary>
public sealed record TextModel
{
    internal TextModel()
    {
    }

    /// <summary>The file.</summary>
    public required string Path { get; init; }

    /// <summary>Names of the model's inputs.</summary>
    public required IReadOnlyList<string> Inputs { get; init; }

    /// <summary>Rows of the table that tokens are looked up in: ids must be below. Null where there is no such table, or it is
    /// not plain which one it is.</summary>
    public int? VocabularySize { get; init; }

    /// <summary>Most tokens of an input: the rows of its table of positions, less those that are kept free in front (RoBERTa), or
    /// the input's fixed size. Null where the model has neither.</summary>
    public int? MaxLength { get; init; }

    /// <summary>Whether an input has exactly <see cref="MaxLength"/> tokens, and none fewer.</summary>
    public bool IsFixed { get; init; }

    /// <summary>What its classes are called, as a head of <see cref="Graph.Heads.ModelHead"/> has them; empty where the file does not
    /// say.</summary>
    public ImmutableArray<string> ClassNames { get; init; } = [];

    /// <summary>Reads a model file.</summary>
    /// <param name="path">An ONNX file.</param>
    /// <exception cref="FileAccessException">The file can't be read.</exception>
    /// <exception cref="ModelFormatException">It is no model that can be read.</exception>
    public static TextModel Open(string path)
    {
        ArgumentNullException.ThrowIfNull(path);
        using ModelFile file = ModelFile.Load(path);
        OnnxModel model = GraphReader.Read(file, WeightInitialization.IsNeeded(file) ? WeightInitialization.Draw(file, 0) : null);
        model.Opsets.TryAdd("com.microsoft", 1);
        InlineFunctions.Run(model);
        ConstantsToInitializers.Run(model, file.Places);
        return new TextTables(model.Graph).Describe(path) with { ClassNames = NamesOf(file) };
    }

    // Somebody else may have written something else under that key.
    private static ImmutableArray<string> NamesOf(ModelFile file)
    {
        string? text = file.Proto.MetadataProps.FirstOrDefault(p => p.Key == ModelHead.ClassNamesKey)?.Value;
        if (text is null) return [];
        try
        {
            using JsonDocument document = JsonDocument.Parse(text);
            return document.RootElement.ValueKind == JsonValueKind.Array
                && document.RootElement.EnumerateArray().All(n => n.ValueKind == JsonValueKind.String)
                ? [.. document.RootElement.EnumerateArray().Select(n => n.GetString()!)] : [];
        }
        catch (JsonException)
        {
            return [];
        }
    }

    /// <summary>Refuses a tokenizer that has tokens which the model has no row for.</summary>
    /// <param name="tokenizer">The tokenizer.</param>
    /// <exception cref="DataFileException">It has more tokens than the model.</exception>
    public void Check(TextTokenizer tokenizer)
    {
        ArgumentNullException.ThrowIfNull(tokenizer);
        if (VocabularySize is int rows && tokenizer.VocabularySize > rows)
            throw TooManyTokens(tokenizer, rows, $"'{Path}'");
    }

    internal static DataFileException TooManyTokens(TextTokenizer tokenizer, int rows, string model) =>
        new($"{tokenizer.Name} has ids up to {tokenizer.VocabularySize - 1}, and {model} looks tokens up in a table of {rows} rows. Use "
        + "the tokenizer that the model was trained with.");
}
