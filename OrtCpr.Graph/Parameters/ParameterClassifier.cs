using OrtCpr.Graph.Gradients;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Optimizers;

namespace OrtCpr.Graph.Parameters;

/// <summary>Decides once, by use in the graph, which initializers are trained, what they are and which are
/// constrained.</summary>
internal sealed class ParameterClassifier
{
    private const double MaskValue = -1e4;

    private readonly OnnxGraph _graph;
    private readonly Value _loss;
    private readonly GradientRules _rules;
    private readonly ParameterOptions _options;
    private readonly OptimizerOptions _optimizer;
    private readonly Value[] _candidates;
    private readonly ParameterUses _uses;
    private readonly GradientReach _reach;

    /// <summary><c>candidates</c>: what could be trained, since its new value can be written back.</summary>
    public ParameterClassifier(
        OnnxGraph graph, Value loss, GradientRules rules, ParameterOptions options, OptimizerOptions optimizer,
        IEnumerable<Value> candidates)
    {
        _optimizer = optimizer;
        _graph = graph;
        _loss = loss;
        _rules = rules;
        _options = options;
        _candidates = [.. candidates.Where(c => c.Type.IsFloating())];
        _uses = new ParameterUses(graph, loss);
        _reach = new GradientReach(graph, loss, rules);
    }

    public ParameterTable Run()
    {
        Value[] shown = [.. _candidates.Where(IsShown)];
        RefuseUnmatchedPatterns(_candidates, shown);
        HashSet<Value> embeddings = _uses.Embeddings(shown);
        var table = new ParameterTable([.. shown.Select(p => Describe(p, embeddings.Contains(p)))]);
        RefuseStatistics(shown);
        RefuseUnclearRules(table);
        return table;
    }

    /// <summary>Constants of the program with one element are listed when somebody asks for them.</summary>
    private bool IsShown(Value p) => p.Place is not { IsConstant: true } || p.Data!.ElementCount > 1 || IsNamed(p);

    private ParameterInfo Describe(Value p, bool isEmbedding)
    {
        (ParameterRole role, string roleReason) = RoleOf(p, isEmbedding);
        (bool trained, string reason) = IsTrained(p);
        if (!trained)
        {
            ParameterRole kept = _uses.IsRunningStatistic(p) ? ParameterRole.RunningStatistic : ParameterRole.Constant;
            return new() { Name = p.Name, Type = p.Type, Dimensions = p.Data!.Dimensions, Role = kept, Trained = false, Reason = reason };
        }
        (bool constrained, string why) = IsConstrained(p, role);
        return new()
        {
            Name = p.Name,
            Type = p.Type,
            Dimensions = p.Data!.Dimensions,
            Role = role,
            Trained = true,
            Constrained = constrained,
            Group = _optimizer.GroupOf(p.Name) ?? 0,
            Reason = $"{roleReason}; {why}",
        };
    }

    private (bool, string) IsTrained(Value p)
    {
        if (Matches(_options.Freeze, p)) return (false, "frozen by pattern");
        if (_uses.IsRunningStatistic(p)) return (false, "running statistic of BatchNormalization");
        if (!_options.TrainOnly.IsEmpty && !Matches(_options.TrainOnly, p)) return (false, "not among the patterns to train");
        if (!_reach.Reaches(p)) return (false, _reach.WhyNot(p));
        if (IsNamed(p)) return (true, "trained by name");
        if (_uses.OnlySettings(p)) return (false, "setting of an operator: a bound, a scale of quantization, a ratio, an exponent");
        if (IsMask(p)) return (false, "mask: all elements 0 or at most -1e4");
        if (Matches(_options.Train, p) || (!_options.TrainOnly.IsEmpty && p.Place is not { IsConstant: true }))
            return (true, "trained by pattern");
        if (_uses.OnlyThroughTrigonometry(p)) return (false, "reaches the loss only through Sin and Cos, or as their table");
        if (p.Data!.Dimensions.Count == 0)
        {
            return ExporterNames.IsConstant(p.Name) ? (false, "scalar with a name that exporters give to constants")
                : _uses.ScalesOrShifts(p) ? (true, "") : (false, "scalar that neither scales nor shifts anything with a gradient");
        }
        if (p.Place is { IsConstant: true } && !_uses.StandsAsParameter(p))
            return (false, "constant of the program that stands in no parameter's place");
        return (true, "");
    }

    private (ParameterRole, string) RoleOf(Value p, bool isEmbedding)
    {
        if (_uses.IsBias(p, out string bias)) return (ParameterRole.Bias, bias);
        if (_uses.IsGain(p, out string gain)) return (ParameterRole.Norm, gain);
        if (isEmbedding) return (ParameterRole.Embedding, "table gathered by indices, or positions added to one");
        if (p.Data!.Dimensions.Count == 0) return (ParameterRole.Other, "scalar that scales or shifts");
        return p.Data!.Dimensions.Count >= 2 ? (ParameterRole.Weight, $"{p.Data.Dimensions.Count}-D weight")
            : (ParameterRole.Other, "vector or scalar of no other kind");
    }

    private (bool, string) IsConstrained(Value p, ParameterRole role)
    {
        if (Matches(_options.Constrain, p)) return (true, "constrained by pattern");
        if (Matches(_options.Unconstrain, p)) return (false, "not constrained by pattern");
        return role switch
        {
            ParameterRole.Other when p.Data!.Dimensions.Count == 0 => (false, "scalars are not constrained"),
            ParameterRole.Bias => (false, "biases are not constrained"),
            ParameterRole.Norm => (false, "gains are not constrained"),
            ParameterRole.Embedding =>
            _options.RegularizeEmbeddings ? (true, "embeddings are regularised") : (false, "embeddings are not regularised"),
            _ => (true, "constrained"),
        };
    }

    private static bool Matches(IEnumerable<NamePattern> patterns, Value p) => patterns.Any(n => n.Matches(p.Name));

    /// <summary>An attention mask; a tensor of zeros alone is a bias at its start.</summary>
    private static bool IsMask(Value p)
    {
        if (p.Data is { Type: ElementType.Float, ElementCount: > 0 } data && data.AsSpan<float>()[0] is not (0 or <= (float)MaskValue))
            return false;
        double[] values = p.Data!.ElementCount > 1 << 22 ? [] : p.Data.ToDoubles();
        return values.Length > 0 && values.Any(v => v <= MaskValue) && values.All(v => v == 0 || v <= MaskValue);
    }

    /// <summary>Named as it is, not by a pattern that fits others too.</summary>
    private bool IsNamed(Value p) => _options.Train.Concat(_options.TrainOnly).Any(n => n.Text == p.Name);

    private void RefuseStatistics(Value[] shown)
    {
        string[] named = [.. shown.Where(p => IsNamed(p) && _uses.IsRunningStatistic(p)).Select(p => $"'{p.Name}'")];
        if (named.Length == 0) return;
        throw new OptionException($"{nameof(ParameterOptions)} asks to train {string.Join(", ", named)}, running statistics of "
            + "BatchNormalization. They follow the batches by themselves and have no gradient; take them out of the patterns to train.");
    }

    /// <summary>Each trained parameter belongs to one rule, and at most one rule takes what the others leave.</summary>
    private void RefuseUnclearRules(ParameterTable table)
    {
        int[] rest = [.. Enumerable.Range(0, _optimizer.Groups.Length).Where(g => _optimizer.Groups[g].Parameters.IsEmpty)];
        if (rest.Length > 1)
        {
            throw new OptionException($"The rules {string.Join(", ", rest)} of OptimizerOptions.Groups name no Parameters, but only one "
                + "can take what the others leave. Give all but one of them name patterns.");
        }
        string[] left = [.. table.Trained.Select(p => p.Name).Where(n => _optimizer.GroupOf(n) is null)];
        if (left.Length > 0)
        {
            throw new OptionException($"No rule of OptimizerOptions.Groups takes the parameter(s) {string.Join(", ", left)}. "
                + "Add patterns for them, or a rule without Parameters for all that is left.");
        }
    }

    private void RefuseUnmatchedPatterns(Value[] candidates, Value[] shown)
    {
        IEnumerable<NamePattern> all = _options.Freeze.Concat(_options.Train).Concat(_options.TrainOnly).Concat(_options.Constrain)
            .Concat(_options.Unconstrain).Concat(_optimizer.Groups.SelectMany(g => g.Parameters));
        string[] unmatched = [.. all.Where(p => !candidates.Any(c => p.Matches(c.Name))).Select(p => $"'{p.Text}'").Distinct()];
        if (unmatched.Length == 0) return;
        string names = string.Join(", ", shown.Take(20).Select(c => c.Name))
            + (shown.Length > 20 ? $", … ({shown.Length} in all)" : "");
        throw new OptionException(
            $"Name pattern(s) {string.Join(", ", unmatched)} match no parameter. Parameters of the model: {names}. "
            + "Patterns are globs (*, ?) on the whole name, or regular expressions written 'regex:…'.");
    }
}
