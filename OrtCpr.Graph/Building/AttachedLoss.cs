using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Losses;
using OrtCpr.Graph.Operators;

namespace OrtCpr.Graph.Building;

/// <summary>The loss of a model, written after its outputs.</summary>
/// <param name="Value">The scalar; an output of the graph.</param>
/// <param name="Figures">The value of each term, then what each divides by (1 for nothing); an output of the graph.</param>
/// <param name="Weight">[first, w]: what the loss divides by, w, and the same with 1 in place of 0, by which batches are compared; null
/// for a loss that divides by nothing.</param>
/// <param name="Terms">What it is the sum of.</param>
/// <param name="Labels">The inputs that the loss added.</param>
/// <param name="Warnings">What the user should know.</param>
internal sealed record AttachedLoss(
    Value Value, Value Figures, Value? Weight, IReadOnlyList<LossTerm> Terms, IReadOnlyList<Value> Labels, IReadOnlyList<string> Warnings)
{
    private const string LossName = "loss", FiguresName = "loss_terms", WeightName = "loss_weight";

    /// <summary>True where it divides by nothing.</summary>
    public bool IsSum => Weight is null;

    /// <summary>True where its terms divide by different things, so that batches have no common weight.</summary>
    public bool IsMixed { get; private init; }

    /// <summary>Writes the loss. Its own constants have no place in the file and so are no parameters of the model.</summary>
    /// <param name="model">The model.</param>
    /// <param name="known">What is known of its shapes.</param>
    /// <param name="loss">The loss.</param>
    /// <param name="namesInFile">Names of the tensors of the model's file.</param>
    public static AttachedLoss To(OnnxModel model, ShapeInference known, Loss loss, Func<IReadOnlyCollection<string>> namesInFile)
    {
        OnnxGraph graph = model.Graph;
        var builder = new GraphBuilder(graph, known) { Scope = LossName };
        var context = new LossContext(graph, builder, namesInFile);
        LossPart[] parts = [.. loss.Parts.Select(p => Attach(context, p.Loss, p.Factor))];
        Value value = Sum(builder, parts);
        if (value.Name != LossName)
        {
            // An output that is the loss keeps its own name beside ours.
            if (graph.Outputs.Contains(value) || value.Producer is null) value = builder.Identity(value);
            builder.Named(value, LossName);
        }
        value.Shape = Shape.Scalar;
        if (!graph.Outputs.Contains(value)) graph.Outputs.Insert(0, value);
        Term[] weights = [.. parts.Select(p => WeightOf(context, p.Result))];
        Value figures = Vector(builder, FiguresName, [.. parts.Select(p => p.Result.Value), .. weights]);
        graph.Outputs.Add(figures);
        // For figures of evaluations; the graph of predictions goes without them.
        foreach (Value taken in parts.Select(p => p.Output).OfType<Value>().Where(o => o.Producer is not null).Distinct())
        {
            if (!graph.Outputs.Contains(taken)) graph.Outputs.Add(taken);
        }
        bool isSum = parts.All(p => p.Result.Divisor == LossDivisor.Nothing), isMixed = !isSum && !AreAlike(parts);
        Term common = isMixed ? Examples(context, value.Type) : weights[0];
        Value? weight = !isSum
            ? Vector(builder, WeightName, builder.Where(builder.Equal(common, 0), 1, common), common) : null;
        OperatorTable.Attach(model);
        return new AttachedLoss(value, figures, weight, Names(parts), context.Labels, context.Warnings) { IsMixed = isMixed };
    }

    private static LossPart Attach(LossContext context, Loss loss, double factor)
    {
        context.Part = new LossPart(loss, factor);
        context.Part.Result = loss.Attach(context);
        return context.Part;
    }

    private static Value Sum(GraphBuilder g, LossPart[] parts)
    {
        Term? sum = null;
        foreach (LossPart part in parts)
        {
            Term value = part.Factor == 1 ? part.Result.Value : part.Result.Value * part.Factor;
            sum = sum is Term before ? before + value : value;
        }
        return sum!.Value;
    }

    private static Term WeightOf(LossContext context, LossValue value) =>
        value.Divisor == LossDivisor.Nothing ? context.G.Scalar(1, value.Value.Type) : value.Weight ?? Examples(context, value.Value.Type);

    /// <summary>The first size of the first input that has one: the number of examples, as a rule.</summary>
    private static Term Examples(LossContext context, ElementType type)
    {
        GraphBuilder g = context.G;
        return context.ModelInputs.Concat(context.Labels).FirstOrDefault(i => i.Shape is { Rank: > 0 }) is Value input
            ? g.Cast(g.Squeeze(g.DimOf(input, 0), 0), type) : g.Scalar(1, type);
    }

    /// <summary>Whether the weights of a batch are in the same proportion for all terms.</summary>
    private static bool AreAlike(LossPart[] parts) => parts.Length == 1
        || parts.All(p => p.Result.Divisor is LossDivisor.Elements or LossDivisor.Examples)
        || parts.All(p => p.Result.Divisor == LossDivisor.Labels && IsWeighedAs(p, parts[0]));

    /// <summary>Whether two losses count the same labels with the same weights.</summary>
    private static bool IsWeighedAs(LossPart a, LossPart b) => a == b
        || (a.LabelInputs.SequenceEqual(b.LabelInputs) && a.Loss is ClassLoss x && b.Loss is ClassLoss y && x.IgnoreIndex == y.IgnoreIndex
            && x.ClassWeights.IsDefaultOrEmpty && y.ClassWeights.IsDefaultOrEmpty);

    private static Value Vector(GraphBuilder g, string name, params Term[] scalars)
    {
        Value vector = g.Concat(0, [.. scalars.Select(s => g.Reshape(s, 1).Value)]);
        return GraphBuilder.Typed(g.Named(vector, name), scalars[0].Type, Shape.Of(scalars.Length));
    }

    /// <summary>A name for each: the kind, with the labels behind it where there are several of one kind, else with a number.</summary>
    private static LossTerm[] Names(LossPart[] parts)
    {
        string[] names = [.. parts.Select(p => p.Loss.Kind)];
        string[] longer = [.. parts.Select((p, i) => names.Count(n => n == names[i]) == 1 ? names[i]
            : $"{names[i]}.{p.LabelInputs.FirstOrDefault()?.Name ?? p.Output?.Name}")];
        return
        [
            .. parts.Select((p, i) => new LossTerm(
                longer.Count(n => n == longer[i]) == 1 ? longer[i] : $"{longer[i]}.{1 + longer.Take(i).Count(n => n == longer[i])}",
                p.Factor, p.Result.Divisor == LossDivisor.Nothing, p.Output?.Name, [.. p.LabelInputs.Select(l => l.Name).Distinct()])
            {
                ClassAxis = p.ClassAxis,
                TakesProbabilities = p.TakesProbabilities,
                Classes = p.Classes,
                YesFrom = p.Loss switch { BceWithLogitsLoss => 0, BceLoss => 0.5, _ => null },
                IgnoredLabel = p.IgnoredLabel,
            }),
        ];
    }
}
