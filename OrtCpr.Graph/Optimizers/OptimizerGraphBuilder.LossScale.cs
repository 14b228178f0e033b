using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Optimizers;

// The scale of the loss in float16: state that the optimizer step updates, so that nothing of it is read by the host.
internal sealed partial class OptimizerGraphBuilder
{
    /// <summary>Kind of the state that holds the loss scale, [1].</summary>
    internal const string LossScale = "loss_scale";

    /// <summary>Kind of the state that counts finite steps since the loss scale last changed, int64 [1].</summary>
    internal const string LossScaleSteps = "loss_scale_steps";

    /// <summary>The wanted name of the factor that gradients have.</summary>
    internal const string GradientLossScale = "gradient_loss_scale";

    /// <summary>Gradients are divided by what their loss was multiplied by, before anything else is done to them.</summary>
    private Value Unscaled(Value scale)
    {
        Value used = AddInput(GradientLossScale, _type, [1]);
        _slots.Add(new TensorSlot(GradientLossScale, TensorRole.GradientLossScale, null, _type, [1])
        {
            Initial = GraphBuilder.FloatVector(_type, _scaling!.InitialScale),
            Uses = [new(PlanGraph.Optimizer, used.Name)],
        });
        _g.Scope = GradientLossScale;
        return _g.Div(scale, _g.Squeeze(used, 0));
    }

    /// <summary>After <c>GrowthInterval</c> finite steps in a row the scale grows; after one that is not it falls, to 1 at
    /// least.</summary>
    private void UpdateLossScale(LossScaling scaling, Value finite)
    {
        Value scale = AddInput(LossScale, _type, [1]), steps = AddInput(LossScaleSteps, ElementType.Int64, [1]);
        _g.Scope = LossScale;
        Term counted = _g.Where(finite, _g.Term(steps) + _g.Ints(1), _g.Ints(0));
        Term isDue = _g.GreaterOrEqual(counted, _g.Ints(scaling.GrowthInterval));
        Term grown = _g.Min(_g.Term(scale) * scaling.GrowthFactor, LossScaling.Largest);
        Term fallen = _g.Max(_g.Term(scale) * scaling.BackoffFactor, 1);
        Value next = _g.Where(finite, _g.Where(isDue, grown, scale), fallen);
        Keep(LossScale, scale, next, GraphBuilder.FloatVector(_type, scaling.InitialScale));
        Keep(LossScaleSteps, steps, _g.Where(isDue, _g.Ints(0), counted), null);

        void Keep(string kind, Value input, Value value, TensorData? initial) =>
            _slots.Add(new TensorSlot(kind, TensorRole.Shared, null, input.Type, [1])
            {
                Kind = kind,
                Initial = initial,
                Uses = [new(PlanGraph.Optimizer, input.Name, Output(value, input).Name)],
            });
    }
}
