using System.Collections.Immutable;
using OrtCpr.Graph.Parameters;

namespace OrtCpr.Graph.Optimizers;

/// <summary>Learning rates by depth: each layer has that of the layer above it times a factor, so that layers near the input, which know
/// most already, change least (ULMFiT, section 3.1; timm's <c>layer_decay</c>).</summary>
/// <remarks>The head, and what else stands above the last layer, has the learning rate of its rule; so has a model of one layer. Every
/// rule of <see cref="OptimizerOptions.Groups"/> becomes a group for each layer that it has parameters in, from the head down, so that
/// group 0 has the rate of the head. Schedules multiply all of them.</remarks>
public sealed record LayerDecay
{
    /// <summary>What a layer has of the learning rate of the layer above it, above 0 and at most 1, such as 0.75.</summary>
    public required double Factor { get; init; }

    /// <summary>What a layer is: patterns for names of parameters, or of the nodes that read them. A pattern is a layer, and where it has
    /// several *, each text that the first one stands for, as in <c>/encoder/layer.*/*</c>. Default: the first number in a name that
    /// has others beside it, as in <c>encoder.layer.3.output.weight</c>; where names have no numbers, each matrix or kernel.</summary>
    public ImmutableArray<NamePattern> Layers { get => field.IsDefault ? [] : field; init; } = [];

    internal IEnumerable<string> Problems()
    {
        if (Factor is > 0 and <= 1) yield break;
        yield return FormattableString.Invariant($"{nameof(LayerDecay)}.{nameof(Factor)} is {Factor}; expected above 0 and at most 1");
    }
}
