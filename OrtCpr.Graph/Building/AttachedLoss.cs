using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Losses;
using OrtCpr.Graph.Operators;

namespace OrtCpr.Graph.Building;

/// <summary>The loss of a model, written after its outputs.</summary>
/// <param name="Value">The scalar; an output of the graph.</param>
/// <param name="Labels">The inputs that the loss added.</param>
/// <param name="Warnings">What the user should know.</param>
internal sealed record AttachedLoss(Value Value, IReadOnlyList<Value> Labels, IReadOnlyList<string> Warnings)
{
    private const string LossName = "loss";

    /// <summary>Writes the loss. Its own constants have no place in the file and so are no parameters of the model.</summary>
    public static AttachedLoss To(OnnxModel model, ShapeInference known, Loss loss)
    {
        var builder = new GraphBuilder(model.Graph, known) { Scope = LossName };
        var context = new LossContext(model.Graph, builder);
        Value value = loss.Attach(context);
        if (value.Name != LossName)
        {
            // An output that is the loss keeps its own name beside ours.
            if (model.Graph.Outputs.Contains(value) || value.Producer is null) value = builder.Identity(value);
            builder.Named(value, LossName);
        }
        value.Shape = Shape.Scalar;
        if (!model.Graph.Outputs.Contains(value)) model.Graph.Outputs.Insert(0, value);
        OperatorTable.Attach(model);
        return new AttachedLoss(value, context.Labels, context.Warnings);
    }
}
