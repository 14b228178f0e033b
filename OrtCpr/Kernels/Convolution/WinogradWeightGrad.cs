namespace OrtCpr.Kernels;

/// <summary>The gradient of a convolution of 3 × 3 taps with respect to its weight, by tiles: see <see cref="WinogradConv"/>.</summary>
/// <remarks>At each point, dW [outputs, inputs] is dy [tiles, outputs] transposed times x [tiles, inputs]; parts of
/// blocks are added up in order.</remarks>
internal static unsafe class WinogradWeightGrad
{
    /// <summary>Floats of working memory that <see cref="Run"/> needs.</summary>
    public static nint ScratchLength(in WinogradShape s) => WinogradConv.ScratchLength(s);

    /// <summary>Writes dW [outputs, inputs, 3, 3].</summary>
    /// <param name="s">Sizes of the forward convolution; not empty.</param>
    /// <param name="x">[N, inputs, H, W].</param>
    /// <param name="dy">[N, outputs, OH, OW].</param>
    /// <param name="dw">The result.</param>
    /// <param name="scratch"><see cref="ScratchLength"/> floats.</param>
    /// <param name="loop">The session's threads.</param>
    /// <param name="product">Of the form <see cref="ProductForm.FirstTransposed"/>.</param>
    public static void Run(in WinogradShape s, float* x, float* dy, float* dw, float* scratch, ParallelLoop loop, MatrixProduct product)
    {
        nint blockRows = s.BlockRows, chunk = s.ChunkOutputs;
        Work work = new()
        {
            Shape = s,
            Weight = dw,
            Input = new() { Data = x, Channels = s.Inputs, Height = s.Height, Width = s.Width },
            Gradient = new() { Data = dy, Channels = s.Outputs, Height = s.OutputHeight, Width = s.OutputWidth },
            Weights = scratch,
            ReadInput = scratch + (WinogradShape.Points * chunk * s.InputLanes),
        };
        work.ReadGradient = work.ReadInput + (WinogradShape.Points * s.BlockTiles * s.InputLanes);
        for (work.FirstRow = 0; work.FirstRow < s.Rows; work.FirstRow += blockRows)
        {
            work.CountRows = nint.Min(blockRows, s.Rows - work.FirstRow);
            WinogradTiles.ClearRest(InputMatrices(work), work.CountRows * s.TileColumns);
            loop.Run(&ReadInputRow, &work, work.CountRows);
            for (work.FirstOutput = 0; work.FirstOutput < s.OutputLanes; work.FirstOutput += chunk)
            {
                work.CountOutputs = nint.Min(chunk, s.OutputLanes - work.FirstOutput);
                WinogradTiles.ClearRest(GradientMatrices(work), work.CountRows * s.TileColumns);
                loop.Run(&ReadGradientRow, &work, work.CountRows);
                product.Run(work.ReadGradient, work.ReadInput, work.Weights, work.CountOutputs, s.InputLanes, s.TilesOf(work.CountRows),
                    WinogradShape.Points);
                loop.Run(&WriteWeight, &work, nint.Min(work.CountOutputs, s.Outputs - work.FirstOutput));
            }
        }
    }

    private static WinogradTiles.Matrices InputMatrices(in Work work) =>
        new() { Data = work.ReadInput, Lanes = work.Shape.InputLanes, Tiles = work.Shape.TilesOf(work.CountRows) };

    private static WinogradTiles.Matrices GradientMatrices(in Work work) =>
        new()
        {
            Data = work.ReadGradient,
            Lanes = work.CountOutputs,
            Tiles = work.Shape.TilesOf(work.CountRows),
            FirstChannel = work.FirstOutput
        };

    private static void ReadInputRow(void* state, nint index)
    {
        Work* work = (Work*)state;
        ref readonly WinogradShape s = ref work->Shape;
        nint row = work->FirstRow + index, top = (row % s.TileRows * WinogradSteps.Tile) - s.PadTop;
        WinogradTiles.Read<WinogradSteps.Input>(work->Input, row / s.TileRows, top, -s.PadLeft, s.TileColumns, InputMatrices(*work), index
            * s.TileColumns);
    }

    private static void ReadGradientRow(void* state, nint index)
    {
        Work* work = (Work*)state;
        ref readonly WinogradShape s = ref work->Shape;
        nint row = work->FirstRow + index, top = row % s.TileRows * WinogradSteps.Tile;
        WinogradTiles.Read<WinogradSteps.OutputBack>(work->Gradient, row / s.TileRows, top, 0, s.TileColumns, GradientMatrices(*work), index
            * s.TileColumns);
    }

    private static void WriteWeight(void* state, nint row)
    {
        Work* work = (Work*)state;
        WinogradWeights.Part from = new()
        {
            Matrices = work->Weights,
            Rows = work->CountOutputs,
            Lanes = work->Shape.InputLanes,
            Row = row,
            FromRow = work->FirstOutput + row
        };
        WinogradWeights.Write(from, work->Shape.Inputs, work->Weight, work->FirstRow > 0);
    }

    private struct Work
    {
        public WinogradShape Shape;
        public WinogradTiles.Images Input;
        public WinogradTiles.Images Gradient;
        public float* Weight;
        public float* Weights;
        public float* ReadInput;
        public float* ReadGradient;
        public nint FirstRow;
        public nint CountRows;
        public nint FirstOutput;
        public nint CountOutputs;
    }
}
