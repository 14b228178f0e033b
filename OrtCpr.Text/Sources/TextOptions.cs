using System.Collections.Immutable;
using OrtCpr.Graph;

namespace OrtCpr.Text;

/// <summary>Which columns of a file are texts and labels, and how they become tokens.</summary>
public sealed record TextOptions
{
    /// <summary>Makes tokens of texts.</summary>
    public required TextTokenizer Tokenizer { get; init; }

    /// <summary>The column with the text. Default <c>text</c>.</summary>
    public string Text { get; init; } = "text";

    /// <summary>The column with the second text of a pair; null (default) for none.</summary>
    public string? Pair { get; init; }

    /// <summary>The column with the label; null (default) for none.</summary>
    public string? Label { get; init; }

    /// <summary>True for a label that is a class (Int64), false for a number (Float [1]); null (default): a class where no label
    /// has a fraction, or where any is a text. Whole numbers are classes as they stand.</summary>
    public bool? IsClass { get; init; }

    /// <summary>The label's texts in the order of their classes, as another source has them (<see
    /// cref="Data.DataColumn.ClassNames"/>): a text that is none of them is refused. Empty (default) for those of the file in
    /// ordinal order; a file of one class only is refused then. Whole numbers below their number are classes as they
    /// stand.</summary>
    public ImmutableArray<string> Classes { get; init; } = [];

    /// <summary>Whether a file may have one class only, as data to evaluate on may. Default off.</summary>
    public bool AllowOneClass { get; init; }

    /// <summary>Whether each word has a label of its own. Words and labels have white space between, or are lists in JSON lines.
    /// The first token of a word takes the word's label; its other tokens, special tokens and padding take −100, which losses
    /// leave out. Default off.</summary>
    public bool LabelsWords { get; init; }

    /// <summary>Most tokens of an example, special ones included; null (default) for what the tokenizer's files say, and 512 where
    /// they say nothing.</summary>
    public int? MaxLength { get; init; }

    /// <summary>Whether texts that are too long are refused; else they are cut and counted. Default off.</summary>
    public bool RefuseLong { get; init; }

    /// <summary>Rows of the model's table of tokens; a tokenizer with more tokens is refused. Null (default) where that is not
    /// known.</summary>
    public int? VocabularySize { get; init; }

    /// <summary>Which of the columns <c>input_ids</c>, <c>attention_mask</c> and <c>token_type_ids</c> there are. Default
    /// all.</summary>
    public ImmutableArray<string> Columns { get; init; } = [.. TextSource.Fills.Keys.Order(StringComparer.Ordinal)];

    /// <summary>CSV: the character between two cells; null (default) to take it from the first line.</summary>
    public char? Separator { get; init; }

    /// <summary>The same options for a model: its columns, as many rows as its table has, texts that are no longer than
    /// its positions, and its classes where it names them.</summary>
    /// <param name="model">The model.</param>
    /// <exception cref="OptionException"><see cref="MaxLength"/> is more than the model has positions, or not what it is fixed
    /// to.</exception>
    public TextOptions For(TextModel model)
    {
        ArgumentNullException.ThrowIfNull(model);
        if (MaxLength is int wanted && model.MaxLength is int most && (model.IsFixed ? wanted != most : wanted > most))
        {
            throw new OptionException($"{nameof(MaxLength)} is {wanted}; expected {(model.IsFixed ? "" : "at most ")}{most}, the "
                + $"{(model.IsFixed ? "size that the input is fixed to" : "positions that there are")} in '{model.Path}'.");
        }
        int? length = MaxLength ?? (model.IsFixed ? model.MaxLength : Least(model.MaxLength, Tokenizer.MaxLength));
        return this with
        {
            MaxLength = length,
            VocabularySize = model.VocabularySize ?? VocabularySize,
            Classes = Classes.Length > 0 || Label is null || IsClass == false ? Classes : model.ClassNames,
            // Where names differ, who matches columns and inputs says which is which.
            Columns = model.Inputs.Contains("input_ids") ? [.. Columns.Where(model.Inputs.Contains)] : Columns,
        };
    }

    private static int? Least(int? a, int? b) => a is null ? b : b is null ? a : Math.Min(a.Value, b.Value);
}
