using System.Collections.Immutable;
using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.ML.Tokenizers;
using OrtCpr.Data;
using OrtCpr.Tables.Formats;
using OrtCpr.Text;

namespace OrtCpr.Tool.Train;

// Texts as data: columns of a table or members of JSON lines, and the tokenizer that reads them.
internal sealed class TextData
{
    private const int Gpt2Tokens = 50257, EndOfText = 50256;

    private readonly Option<string?> _text =
        new("--text") { Description = "Tables and .jsonl: the column with the text; by default text in .jsonl." };
    private readonly Option<string?> _pair =
        new("--text-pair") { Description = "Tables and .jsonl: the column with the second text of a pair." };
    private readonly Option<string> _tokenizer = new("--tokenizer")
    {
        Description = "Text: bytes, characters, gpt2, or a file or folder of a tokenizer: tokenizer.json, vocab.txt, vocab.json with "
            + "merges.txt, *.model. For --text by default the one beside the model.",
        DefaultValueFactory = _ => "bytes",
    };
    private readonly Option<int?> _length = new("--max-length")
    {
        Description = "--text: most tokens of an example; longer texts are cut. By default what model and tokenizer say, or 512.",
    };
    private readonly Option<bool> _refuse = new("--refuse-long") { Description = "--text: texts that are too long are refused, not cut." };
    private readonly Option<bool> _words = new("--label-words")
    {
        Description = "--text: each word has a label of its own; white space between, or lists in .jsonl.",
    };
    private readonly Option<int> _similar = new("--similar-lengths")
    {
        Description = "Deals out examples of so many batches by length, so that those of a batch are about equally long; 0 for none, 50 "
            + "is a good number.",
    };
    private readonly Option<int> _multiple = new("--length-multiple")
    {
        Description = "Batches are as long as their longest example, rounded up to a multiple of this.",
        DefaultValueFactory = _ => 1,
    };

    // Classes of the data that were opened first: those to evaluate on have the same.
    private ImmutableArray<string> _classes = [];

    public static readonly string[] Reading =
        ["--text", "--text-pair", "--tokenizer", "--max-length", "--refuse-long", "--label-words", "--length-multiple"];

    public void AddTo(Command command, bool training)
    {
        foreach (Option option in new Option[] { _text, _pair, _tokenizer, _length, _refuse, _words, _multiple }) command.Add(option);
        if (training) command.Add(_similar);
    }

    public ImmutableArray<string> Classes => _classes;

    public DataLoaderOptions Lengths(ParseResult r, bool training) => new()
    {
        LengthMultiple = r.GetValue(_multiple),
        SimilarLengths = training ? r.GetValue(_similar) : 0,
    };

    // Null where the path is none of texts.
    public DataSource? Open(ParseResult r, string path, string? label, bool training)
    {
        string extension = Path.GetExtension(path).ToLowerInvariant();
        bool isLines = extension is ".jsonl" or ".ndjson";
        string? text = r.GetValue(_text) ?? (isLines ? "text" : null);
        TableFormat? format = TableFiles.FormatOf(path);
        if (text is null || !(isLines || format is not null || extension is ".csv" or ".tsv"))
        {
            if (r.GetValue(_text) is null && r.GetValue(_pair) is null) return null;
            throw new ToolException(text is null ? "--text-pair is the second column of texts; --text names the first."
                : $"--text is a column of .csv, .tsv, .parquet, .arrow, .feather or .jsonl; '{path}' is none of them.");
        }
        if (r.GetValue(_length) is < 1) throw new ToolException($"--max-length is {r.GetValue(_length)}; expected at least 1.");
        (TextModel model, ImmutableArray<string> classes) = Model(r);
        TextOptions options = new TextOptions
        {
            Tokenizer = Tokenizer(r, model.Path),
            Text = text,
            Pair = r.GetValue(_pair),
            Label = label,
            LabelsWords = r.GetValue(_words),
            MaxLength = r.GetValue(_length),
            RefuseLong = r.GetValue(_refuse),
            AllowOneClass = !training,
            Classes = _classes.Length > 0 ? _classes : classes,
        }.For(model);
        TextSource source = isLines ? TextSource.FromJsonLines(path, options)
            : format is not null ? TextSource.Read(path, options, new TableTexts(format).Rows) : TextSource.FromCsv(path, options);
        if (_classes.Length == 0) _classes = source.Columns.FirstOrDefault(c => c.IsLabel)?.ClassNames ?? [];
        Console.Error.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{path}: {source.Count} texts by {options.Tokenizer}; the longest has {source.Longest} tokens"
            + $"{(source.CutExamples > 0 ? $", {source.CutExamples} texts were cut to that" : "")}"
            + $"{(_classes.Length > 0 ? $"; classes {string.Join(", ", _classes.Take(20).Select((c, i) => $"{i} {c}"))}" : "")}"
            + $"{(_classes.Length > 20 ? " …" : "")}"));
        return source;
    }

    // The tokens of a text for next-token training.
    public IReadOnlyList<int> Tokens(ParseResult r, string path)
    {
        string name = r.GetValue(_tokenizer)!;
        if (name == "bytes") return TextTokens.Bytes(path);
        if (name == "characters") return TextTokens.Characters(path).Tokens;
        (TextModel model, _) = Model(r);
        TextTokenizer tokenizer = Tokenizer(r, model.Path);
        model.Check(tokenizer);
        return TextTokens.Encode(path, tokenizer.Encode);
    }

    private TextTokenizer Tokenizer(ParseResult r, string model)
    {
        string name = r.GetValue(_tokenizer)!;
        if (name == "gpt2")
        {
            return TextTokenizer.Of(TiktokenTokenizer.CreateForModel("gpt2"), Gpt2Tokens, new SpecialTokens { Padding = EndOfText },
                "gpt2");
        }
        if (name == "characters")
            throw new ToolException("--tokenizer characters is for a .txt; --text needs a tokenizer's file or folder.");
        // The default for a .txt; run.json names it for every run.
        if (name == "bytes")
        {
            string beside = Path.GetDirectoryName(Path.GetFullPath(Trained(r.GetValue<string>("MODEL")!) ?? model))!;
            try
            {
                return TextTokenizer.Open(beside);
            }
            catch (DataFileException error)
            {
                throw new ToolException($"--text needs a tokenizer, and beside the model there is none: {error.Message} Name one by "
                    + "--tokenizer.");
            }
        }
        return Path.Exists(name) ? TextTokenizer.Open(name)
            : throw new ToolException($"--tokenizer '{name}' is not known; expected bytes, characters, gpt2, or the path of a tokenizer's "
                + "file or folder.");
    }

    // The model that a run was begun with, as its run.json has it; null where the path is none of a run.
    private static string? Trained(string path)
    {
        string? file = !Directory.Exists(path) ? null
            : new[] { Path.Combine(path, "run.json"), Path.Combine(path, "..", "run.json") }.FirstOrDefault(File.Exists);
        try
        {
            return file is null ? null : JsonNode.Parse(File.ReadAllText(file))?["arguments"]?[0]?.GetValue<string>();
        }
        catch (Exception error) when (error is JsonException or InvalidOperationException or ArgumentOutOfRangeException)
        {
            return null;
        }
    }

    // The model of the command, or of a run's folder, with the names of its classes.
    private static (TextModel Model, ImmutableArray<string> Classes) Model(ParseResult r)
    {
        string path = r.GetValue<string>("MODEL")!;
        if (!Directory.Exists(path)) return (TextModel.Open(path), []);
        string? file = new[] { "model.onnx", "headed.onnx", "adapted.onnx" }.Select(f => Path.Combine(path, f)).FirstOrDefault(File.Exists);
        return file is null ? throw new ToolException($"'{path}' is no run: it has no model.onnx. Name the --out folder of a run.")
            : (TextModel.Open(file), ClassFile.Read(path));
    }
}
