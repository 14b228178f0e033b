using System.Collections.Immutable;
using System.Text.Json;
using Microsoft.ML.Tokenizers;
using OrtCpr.Data;

namespace OrtCpr.Text;

/// <summary>Reads <c>tokenizer.json</c> of the Hugging Face tokenizers library: WordPiece with BERT's normalizer, and byte-level
/// BPE. Everything that it asks for and that is not done here is refused by its name.</summary>
internal sealed class TokenizerJson
{
    private readonly string _path;
    private readonly JsonElement _root;
    private readonly List<string> _problems = [];
    private readonly Dictionary<string, int> _added = new(StringComparer.Ordinal);
    private readonly List<string> _refusedInTexts = [];

    private TokenizerJson(string path, JsonElement root) => (_path, _root) = (path, root);

    public static TextTokenizer Read(string path, bool? lowerCase)
    {
        using JsonDocument document = JsonFile.Read(path);
        return new TokenizerJson(path, document.RootElement).Read(lowerCase);
    }

    private TextTokenizer Read(bool? lowerCase)
    {
        JsonElement? model = Part(_root, "model");
        if (model is null) throw new DataFileException($"'{_path}' has no 'model'; expected a tokenizer.json of the tokenizers library.");
        string kind = Text(model.Value, "type") ?? (model.Value.TryGetProperty("merges", out _) ? "BPE" : "WordPiece");
        ReadAdded();
        return kind switch
        {
            "WordPiece" => WordPiece(model.Value, lowerCase),
            "BPE" => BytePair(model.Value),
            _ => throw new DataFileException($"'{_path}' has a model of type '{kind}'; expected WordPiece or BPE"
                + $"{(kind == "Unigram" ? ". Name the SentencePiece file (*.model) of the same tokenizer" : "")}."),
        };
    }

    private TextTokenizer WordPiece(JsonElement model, bool? lowerCase)
    {
        Dictionary<string, int> vocabulary = Vocabulary(model);
        foreach ((string token, int id) in _added) vocabulary[token] = id;
        bool clean = true, chinese = true, lower = false;
        bool? strip = null;
        if (Only("normalizer", "BertNormalizer") is JsonElement normalizer)
        {
            clean = Flag(normalizer, "clean_text") ?? true;
            chinese = Flag(normalizer, "handle_chinese_chars") ?? true;
            lower = Flag(normalizer, "lowercase") ?? true;
            strip = Flag(normalizer, "strip_accents");
        }
        else
        {
            _problems.Add("there is no normalizer (BertNormalizer is done)");
        }
        if (!clean) _problems.Add("normalizer BertNormalizer with clean_text = false");
        if (Only("pre_tokenizer", "BertPreTokenizer") is null) _problems.Add("there is no pre_tokenizer (BertPreTokenizer is done)");
        lower = lowerCase ?? lower;
        string[] tokens = new string[vocabulary.Count];
        foreach ((string token, int id) in vocabulary)
        {
            if (id < tokens.Length && token.AsSpan().IndexOfAny('\r', '\n') < 0) tokens[id] = token;
        }
        if (Array.FindIndex(tokens, t => t is null) is int gap and >= 0)
            _problems.Add($"no token has the id {gap}, though there are {tokens.Length} of them");
        SpecialTokens? special = Processor(vocabulary);
        int? length = Truncation();
        Refuse();
        string unknown = Text(model, "unk_token") ?? "[UNK]";
        return WordPieceFile.Of($"WordPiece '{_path}'", _path, [.. tokens], new BertOptions
        {
            UnknownToken = unknown,
            ContinuingSubwordPrefix = Text(model, "continuing_subword_prefix") ?? "##",
            MaxInputCharsPerWord = Number(model, "max_input_chars_per_word") ?? 100,
            LowerCaseBeforeTokenization = lower,
            RemoveNonSpacingMarks = strip ?? lower,
            IndividuallyTokenizeCjk = chinese,
        }, length, special is null ? null : special with { Padding = PaddingOf(vocabulary) },
            _added.Keys.Where(t => t != unknown && !WordPieceFile.Known.Contains(t)).Union(_refusedInTexts));
    }

    private TextTokenizer BytePair(JsonElement model)
    {
        Dictionary<string, int> vocabulary = Vocabulary(model);
        if (Part(_root, "normalizer") is JsonElement normalizer) _problems.Add($"normalizer {Text(normalizer, "type")}");
        bool prefix = false;
        if (Only("pre_tokenizer", "ByteLevel") is JsonElement bytes)
        {
            prefix = Flag(bytes, "add_prefix_space") ?? true;
            if (Flag(bytes, "use_regex") == false) _problems.Add("pre_tokenizer ByteLevel with use_regex = false");
        }
        else
        {
            _problems.Add("there is no pre_tokenizer (ByteLevel is done)");
        }
        foreach (string name in new[] { "byte_fallback", "ignore_merges" })
            if (Flag(model, name) == true) _problems.Add($"model BPE with {name} = true");
        foreach (string name in new[] { "continuing_subword_prefix", "end_of_word_suffix" })
            if (!string.IsNullOrEmpty(Text(model, name))) _problems.Add($"model BPE with {name} = '{Text(model, name)}'");
        if (Part(model, "dropout") is JsonElement dropout && dropout.ValueKind == JsonValueKind.Number && dropout.GetDouble() != 0)
            _problems.Add($"model BPE with dropout = {dropout.GetRawText()}");
        SpecialTokens special = Processor(vocabulary) ?? new SpecialTokens();
        int? length = Truncation();
        Refuse();
        var settings = new BpeSettings(prefix, Text(model, "unk_token"), Flag(model, "fuse_unk") ?? false, length,
            [.. _refusedInTexts]);
        return BytePairFiles.Of($"BPE '{_path}'", _path, vocabulary, Merges(model), special with { Padding = PaddingOf(vocabulary) },
            _added,
            settings);
    }

    private void Refuse()
    {
        if (_problems.Count > 0)
        {
            throw new DataFileException($"'{_path}' asks for what is not done here: {string.Join("; ", _problems)}. Without it the tokens "
                + "would be others than those that the model was trained with.");
        }
    }

    private Dictionary<string, int> Vocabulary(JsonElement model) =>
        Part(model, "vocab") is JsonElement { ValueKind: JsonValueKind.Object } all ? BytePairFiles.Vocabulary(_path, all)
            : throw new DataFileException($"'{_path}': the model has no object 'vocab' of tokens and ids.");

    private List<string> Merges(JsonElement model)
    {
        if (Part(model, "merges") is not JsonElement { ValueKind: JsonValueKind.Array } all)
            throw new DataFileException($"'{_path}': the model has no list 'merges'.");
        // Newer files have pairs, older ones texts with a space between.
        return [.. all.EnumerateArray().Select(m => m.ValueKind == JsonValueKind.Array
            ? string.Join(' ', m.EnumerateArray().Select(p => p.GetString())) : m.GetString()!)];
    }

    /// <summary>Tokens of the tokenizer's own. Those that take the space beside them may not stand in texts.</summary>
    private void ReadAdded()
    {
        if (Part(_root, "added_tokens") is not JsonElement { ValueKind: JsonValueKind.Array } all) return;
        foreach (JsonElement token in all.EnumerateArray())
        {
            if (Text(token, "content") is not string content || Number(token, "id") is not int id)
            {
                throw new DataFileException($"'{_path}': added_tokens has {token.GetRawText()}; expected an object with 'id' and "
                    + "'content'.");
            }
            _added[content] = id;
            if (new[] { "lstrip", "rstrip", "single_word" }.Any(f => Flag(token, f) == true)) _refusedInTexts.Add(content);
        }
    }

    private SpecialTokens? Processor(Dictionary<string, int> vocabulary)
    {
        if (Part(_root, "post_processor") is not JsonElement processor) return new SpecialTokens();
        switch (Text(processor, "type"))
        {
            case "BertProcessing":
                int sep = Pair(processor, "sep");
                return new SpecialTokens { Before = [Pair(processor, "cls")], Between = [sep], After = [sep], SecondType = 1 };
            case "RobertaProcessing":
                int end = Pair(processor, "sep");
                return new SpecialTokens { Before = [Pair(processor, "cls")], Between = [end, end], After = [end] };
            case "TemplateProcessing":
                return Template(processor, vocabulary);
            case "ByteLevel":
                return new SpecialTokens();
            default:
                _problems.Add($"post_processor {Text(processor, "type")}");
                return null;
        }
    }

    private int Pair(JsonElement processor, string name)
    {
        if (Part(processor, name) is JsonElement { ValueKind: JsonValueKind.Array } pair && pair.GetArrayLength() == 2
            && pair[1].TryGetInt32(out int id))
        {
            return id;
        }
        _problems.Add($"post_processor without a '{name}' of token and id");
        return 0;
    }

    private SpecialTokens Template(JsonElement processor, Dictionary<string, int> vocabulary)
    {
        List<(string? Sequence, int Type, ImmutableArray<int> Ids)> single = Pieces(processor, "single", vocabulary),
            pair = Pieces(processor, "pair", vocabulary);
        int text = single.FindIndex(p => p.Sequence == "A");
        int first = pair.FindIndex(p => p.Sequence == "A"), second = pair.FindIndex(p => p.Sequence == "B");
        if (text < 0 || single.Count(p => p.Sequence is not null) != 1 || (pair.Count > 0 && (first < 0 || second < first)))
        {
            _problems.Add("a template of post_processor that is not '… A …' and '… A … B …'");
            return new SpecialTokens();
        }
        int[] Ids(List<(string? Sequence, int Type, ImmutableArray<int> Ids)> pieces, int from, int to) =>
            [.. pieces.Skip(from).Take(to - from).SelectMany(p => p.Ids)];
        var special = new SpecialTokens { Before = [.. Ids(single, 0, text)], After = [.. Ids(single, text + 1, single.Count)] };
        if (pair.Count == 0) return special;
        int type = pair[second].Type;
        // The separator behind the first text is of its type.
        if (!Ids(pair, 0, first).SequenceEqual(special.Before) || !Ids(pair, second + 1, pair.Count).SequenceEqual(special.After)
            || single.Any(p => p.Type != 0) || pair.Take(second).Any(p => p.Type != 0) || pair.Skip(second).Any(p => p.Type != type)
            || type is not (0 or 1))
        {
            _problems.Add("a template of post_processor whose pairs begin, end or are typed otherwise than single texts");
        }
        return special with { Between = [.. Ids(pair, first + 1, second)], SecondType = type };
    }

    private List<(string? Sequence, int Type, ImmutableArray<int> Ids)> Pieces(JsonElement processor, string name,
        Dictionary<string, int> vocabulary)
    {
        var pieces = new List<(string?, int, ImmutableArray<int>)>();
        if (Part(processor, name) is not JsonElement { ValueKind: JsonValueKind.Array } all) return pieces;
        foreach (JsonElement piece in all.EnumerateArray())
        {
            if (Part(piece, "Sequence") is JsonElement sequence)
            {
                pieces.Add((Text(sequence, "id"), Number(sequence, "type_id") ?? 0, []));
            }
            else if (Part(piece, "SpecialToken") is JsonElement token && Text(token, "id") is string id)
            {
                pieces.Add((null, Number(token, "type_id") ?? 0, IdsOf(processor, id, vocabulary)));
            }
            else
            {
                _problems.Add($"a template of post_processor with {piece.GetRawText()}");
            }
        }
        return pieces;
    }

    private ImmutableArray<int> IdsOf(JsonElement processor, string token, Dictionary<string, int> vocabulary)
    {
        if (Part(processor, "special_tokens") is JsonElement all && Part(all, token) is JsonElement known
            && Part(known, "ids") is JsonElement { ValueKind: JsonValueKind.Array } ids)
        {
            return [.. ids.EnumerateArray().Select(i => i.GetInt32())];
        }
        if (_added.TryGetValue(token, out int id) || vocabulary.TryGetValue(token, out id)) return [id];
        _problems.Add($"post_processor names the token '{token}', which there is not");
        return [];
    }

    /// <summary>The most tokens of an input; how they are left out must be how it is done here.</summary>
    private int? Truncation()
    {
        int? most = TokenizerConfig.Beside(_path).MaxLength;
        if (Part(_root, "padding") is JsonElement padding && Text(padding, "direction") == "Left") _problems.Add("padding on the left");
        if (Part(_root, "truncation") is not JsonElement truncation) return most;
        if (Text(truncation, "direction") == "Left") _problems.Add("truncation on the left");
        if (Text(truncation, "strategy") is string strategy && strategy != "LongestFirst") _problems.Add($"truncation {strategy}");
        return Number(truncation, "max_length") is int length ? Math.Min(length, most ?? length) : most;
    }

    private int PaddingOf(Dictionary<string, int> vocabulary)
    {
        if (Part(_root, "padding") is JsonElement padding && Number(padding, "pad_id") is int id) return id;
        foreach (string name in new[] { "[PAD]", "<pad>", "<|pad|>", "<|endoftext|>", "</s>" })
            if (_added.TryGetValue(name, out int found) || vocabulary.TryGetValue(name, out found)) return found;
        return 0;
    }

    /// <summary>A part of the file that may have one type alone; null where there is none.</summary>
    private JsonElement? Only(string name, string type)
    {
        if (Part(_root, name) is not JsonElement part) return null;
        if (Text(part, "type") != type) _problems.Add($"{name} {Text(part, "type") ?? part.GetRawText()} ({type} is done)");
        return part;
    }

    private static JsonElement? Part(JsonElement parent, string name) => parent.ValueKind == JsonValueKind.Object
        && parent.TryGetProperty(name, out JsonElement value) && value.ValueKind is not (JsonValueKind.Null or JsonValueKind.Undefined)
        ? value : null;

    private static string? Text(JsonElement parent, string name) =>
        Part(parent, name) is JsonElement { ValueKind: JsonValueKind.String } value ? value.GetString() : null;

    private static bool? Flag(JsonElement parent, string name) => Part(parent, name) is JsonElement value
        ? value.ValueKind switch { JsonValueKind.True => true, JsonValueKind.False => false, _ => null } : null;

    private static int? Number(JsonElement parent, string name) =>
        Part(parent, name) is JsonElement { ValueKind: JsonValueKind.Number } value && value.TryGetInt32(out int number) ? number : null;
}
