using System.Collections.Immutable;

namespace OrtCpr.Graph.Heads;

/// <summary>How a head makes one vector of an example's features.</summary>
public enum Pooling
{
    /// <summary>By the rank of the features: 2 is <see cref="None"/>, 3 and 4 are <see cref="Mean"/>.</summary>
    Auto,
    /// <summary>Not at all: features are [batch, width], or [batch, tokens, width] for classes of every token.</summary>
    None,
    /// <summary>The mean over the tokens that the attention mask leaves, or over height and width (global average pooling).</summary>
    Mean,
    /// <summary>The first token, which BERT calls [CLS].</summary>
    Cls,
    /// <summary>The maximum over the tokens that the attention mask leaves, or over height and width.</summary>
    Max,
}

/// <summary>A linear layer that ends a model: logits = Dropout(pooled features)·Wᵀ + b.</summary>
/// <remarks>W and b are drawn as torch.nn.Linear draws them: uniformly from ±1/√inputs (He et al., ICCV 2015, with a = √5).</remarks>
public sealed record DenseHead
{
    /// <summary>Width of the output, at least 2.</summary>
    public required int Classes { get; init; }

    /// <summary>Share of the features that are dropped while training, from 0 to below 1. Default 0: no Dropout node.</summary>
    /// <remarks>The node has <c>training_mode</c> = true, as exporters write it: it drops while training and in no evaluation, and the
    /// export of the trained model switches it off. Takes opset 12 or later.</remarks>
    public double Dropout { get; init; }

    /// <summary>What is done with features of rank 3, [batch, tokens, width], and 4, [batch, channels, height, width].
    /// Default <see cref="Pooling.Auto"/>.</summary>
    public Pooling Pool { get; init; } = Pooling.Auto;

    /// <summary>Seed of the layer's first values. Default 0.</summary>
    public long Seed { get; init; }

    /// <summary>One name for each class, written into <c>metadata_props</c> as a JSON list under
    /// <see cref="ModelHead.ClassNamesKey"/>. Default: none.</summary>
    public ImmutableArray<string> ClassNames { get; init; } = [];

    /// <summary>Keeps the outputs that were there and adds the head's behind them. Default off: outputs that depend on the replaced
    /// layer, or on the tensor that is cut at, go.</summary>
    public bool Keep { get; init; }

    /// <summary>Puts the head on the output itself and looks for no linear layer in front of it. Default off.</summary>
    public bool Append { get; init; }

    /// <summary>Rank-4 features are [batch, height, width, channels]. Default off.</summary>
    public bool ChannelsLast { get; init; }

    /// <summary>The input [batch, tokens] that is not 0 at tokens that count. Default null: the input <c>attention_mask</c>, else the only
    /// input of rank 2 with integers or bools whose name has "mask" in it, else none.</summary>
    public string? Mask { get; init; }

    /// <summary>Parameters are called <c>Name.weight</c> and <c>Name.bias</c>, with a number behind the name where that is taken.
    /// Default "head".</summary>
    public string Name { get; init; } = "head";

    /// <summary>Name of the head's output. Default null: that of the output whose layer was replaced, else <c>logits</c>, with a number
    /// behind it where that is taken.</summary>
    public string? Output { get; init; }

    internal List<string> Problems()
    {
        var problems = new List<string>();
        if (Classes < 2) problems.Add($"{nameof(Classes)} is {Classes}; expected at least 2");
        if (!(Dropout is >= 0 and < 1))
            problems.Add(FormattableString.Invariant($"{nameof(Dropout)} is {Dropout}; expected at least 0 and less than 1"));
        if (!Enum.IsDefined(Pool))
            problems.Add($"{nameof(Pool)} is {Pool}; expected one of {string.Join(", ", Enum.GetNames<Pooling>())}");
        if (ClassNames.IsDefault)
        {
            problems.Add($"{nameof(ClassNames)} is a default array; expected names, or an empty array");
        }
        else if (ClassNames.Length > 0)
        {
            if (ClassNames.Length != Classes)
                problems.Add($"{nameof(ClassNames)} has {ClassNames.Length} names; expected {Classes}, one for each class");
            string[] twice = [.. ClassNames.GroupBy(n => n, StringComparer.Ordinal).Where(g => g.Count() > 1).Select(g => $"'{g.Key}'")];
            if (twice.Length > 0) problems.Add($"{nameof(ClassNames)} has {string.Join(", ", twice)} more than once");
        }
        if (string.IsNullOrWhiteSpace(Name)) problems.Add($"{nameof(Name)} is empty; expected a name, such as 'head'");
        if (Output is not null && Output.Length == 0) problems.Add($"{nameof(Output)} is empty; expected a name, or null");
        return problems;
    }
}
