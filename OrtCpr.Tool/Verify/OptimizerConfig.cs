using System.Text.Json;
using OrtCpr.Graph;
using OrtCpr.Graph.Optimizers;

namespace OrtCpr.Tool.Verify;

/// <summary>The config of an optimizer-trajectory case as optimizer options: a key of a group wins over the same key of the run.</summary>
internal sealed class OptimizerConfig
{
    // What each algorithm adds to its base rule, and the base where the config names none.
    private static readonly Dictionary<string, (string Base, Func<CaseConfig, UpdateLink[]> Links)> Algorithms = new(StringComparer.Ordinal)
    {
        ["AdamCPR"] = ("Adam", c => [RecordedRule.Constraint(c)]),
        ["AdaCPR"] = ("Adam", c => [RecordedRule.Constraint(c, isAdaptive: true)]),
        ["AdamW+CPR"] = ("AdamW", c => [RecordedRule.Constraint(c)]),
        ["SGD+CPR"] = ("SGD", c => [RecordedRule.Constraint(c)]),
        ["AdamW"] = ("AdamW", _ => []),
        ["Adam"] = ("Adam", _ => []),
        ["SGD"] = ("SGD", _ => []),
        ["Adam+AWD"] = ("Adam", c => [new AddAdaptiveWeightDecay(c.Number("awd_lambda", 0))]),
        ["Adam+AdaDecay"] = ("Adam", c => [new AddAdaDecay(c.Number("adadecay_lambda", 0), c.Number("adadecay_alpha", 4))]),
        ["Adam+Rescaling"] = ("Adam", _ => []),
    };

    public OptimizerConfig(JsonElement run)
    {
        var common = new CaseConfig(run);
        if (common.Value("groups") is not { ValueKind: JsonValueKind.Array } groups || groups.GetArrayLength() == 0)
        {
            throw new CaseException("the config has no 'groups'");
        }
        (JsonElement Json, CaseConfig Config)[] settings = [.. groups.EnumerateArray().Select(g => (g, new CaseConfig(run, g)))];
        Groups = [.. settings.Select(g => Parameters(g.Json))];
        string algorithm = common.Value("algorithm")?.ToString() ?? throw new CaseException("the config has no 'algorithm'");
        Options = new OptimizerOptions
        {
            Groups = [.. settings.Select(g => Rule(g.Config, algorithm))],
            // The recorded runs have neither guard nor clipping.
            NonFiniteGuard = false,
            Rescaling = algorithm == "Adam+Rescaling" ? new RescaleWeights(common.Number("rescale_alpha", 0.8)) : null,
        };
        Steps = common.Value("steps") is null ? null : common.Whole("steps");
        Type = common.Choice("dtype",
            new Dictionary<string, ElementType> { ["float32"] = ElementType.Float, ["float64"] = ElementType.Double }, "float32");
        common.Describes("source", "formula");
        foreach ((_, CaseConfig config) in settings) config.Describes("params", "regularize");
        CaseConfig.RefuseUnused([common, .. settings.Select(g => g.Config)]);
    }

    /// <summary>Names of each group's parameters, and whether they are regularized.</summary>
    public (string[] Names, bool Regularize)[] Groups { get; }

    /// <summary>Steps of the run; null where the config does not say.</summary>
    public long? Steps { get; }

    /// <summary>Element type of the run.</summary>
    public ElementType Type { get; }

    /// <summary>The optimizer.</summary>
    public OptimizerOptions Options { get; }

    private static (string[], bool) Parameters(JsonElement group)
    {
        if (!group.TryGetProperty("params", out JsonElement names) || names.ValueKind != JsonValueKind.Array)
        {
            throw new CaseException("a group of the config has no 'params'");
        }
        if (!group.TryGetProperty("regularize", out JsonElement on) || on.ValueKind is not (JsonValueKind.True or JsonValueKind.False))
            throw new CaseException("a group of the config has no 'regularize' of true or false");
        return ([.. names.EnumerateArray().Select(n => n.ToString())], on.GetBoolean());
    }

    private static UpdateRule Rule(CaseConfig config, string algorithm)
    {
        if (!Algorithms.TryGetValue(algorithm, out (string Base, Func<CaseConfig, UpdateLink[]> Links) known))
            throw new CaseException($"algorithm '{algorithm}' is not supported; supported: {string.Join(", ", Algorithms.Keys)}");
        string rule = config.Choice("base", new Dictionary<string, string> { ["adam"] = "Adam", ["adamw"] = "AdamW", ["sgd"] = "SGD" },
            known.Base.ToLowerInvariant());
        // A name with a base in it and the base beside it must agree; AdamCPR and AdaCPR are named for what they do around any base.
        if (rule != known.Base && algorithm is not ("AdamCPR" or "AdaCPR"))
        {
            throw new CaseException($"algorithm '{algorithm}' is over {known.Base}, but 'base' of the config is {rule}");
        }
        return new UpdateRule
        {
            LearningRate = config.Number("lr", 1e-3),
            Maximize = config.Flag("maximize"),
            Links = [.. RecordedRule.Base(config, rule), .. known.Links(config)]
        };
    }
}
