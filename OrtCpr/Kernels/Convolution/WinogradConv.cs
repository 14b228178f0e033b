namespace OrtCpr.Kernels;

/// <summary>A convolution of 3 × 3 taps by tiles of 4 × 4 outputs: 36 products of matrices in place of 144
/// multiplications for each tile and pair of channels.</summary>
/// <remarks>Serves the forward convolution, and with the flipped weight the gradient of the input. Weights and tiles at
/// the points are written once and read by the products, their results written and read once: 288 bytes an input tile,
/// as many an output tile, in blocks that stay near the processor. An output's error against the exact sum is within
/// 1e-6 of the sum of its terms' sizes. What is added in which order depends on sizes only, not on threads. Nothing may
/// overlap.</remarks>
internal static unsafe class WinogradConv
{
    /// <summary>Floats of working memory that <see cref="Run"/> needs.</summary>
    public static nint ScratchLength(in WinogradShape s) =>
        WinogradShape.Points * ((s.BlockTiles * (s.InputLanes + s.ChunkOutputs)) + (s.ChunkOutputs * s.InputLanes));

    /// <summary>Writes y [N, outputs, OH, OW].</summary>
    /// <param name="s">Sizes; not empty.</param>
    /// <param name="x">[N, inputs, H, W].</param>
    /// <param name="weight">[outputs, inputs, 3, 3], or [inputs, outputs, 3, 3] when flipped.</param>
    /// <param name="flipped">For the gradient of the input: inputs and outputs change places, and both axes of the
    /// kernel run backwards.</param>
    /// <param name="bias">[outputs]; null for none.</param>
    /// <param name="y">The result.</param>
    /// <param name="scratch"><see cref="ScratchLength"/> floats.</param>
    /// <param name="loop">The session's threads.</param>
    /// <param name="product">Of the form <see cref="ProductForm.SecondTransposed"/>; <see cref="ProductForm.Plain"/> when flipped.</param>
    public static void Run(in WinogradShape s, float* x, float* weight, bool flipped, float* bias, float* y, float* scratch,
        ParallelLoop loop, MatrixProduct product)
    {
        nint blockRows = s.BlockRows, chunk = s.ChunkOutputs;
        Work work = new()
        {
            Shape = s,
            Weight = weight,
            Bias = bias,
            Flipped = flipped,
            Input = new() { Data = x, Channels = s.Inputs, Height = s.Height, Width = s.Width },
            Output = new() { Data = y, Channels = s.Outputs, Height = s.OutputHeight, Width = s.OutputWidth },
            Weights = scratch,
            Read = scratch + (WinogradShape.Points * chunk * s.InputLanes),
        };
        work.Products = work.Read + (WinogradShape.Points * s.BlockTiles * s.InputLanes);
        for (work.FirstRow = 0; work.FirstRow < s.Rows; work.FirstRow += blockRows)
        {
            work.CountRows = nint.Min(blockRows, s.Rows - work.FirstRow);
            loop.Run(&ReadRow, &work, work.CountRows);
            for (work.FirstOutput = 0; work.FirstOutput < s.OutputLanes; work.FirstOutput += chunk)
            {
                work.CountOutputs = nint.Min(chunk, s.OutputLanes - work.FirstOutput);
                // With several blocks there is one chunk, whose weights stay.
                if (work.FirstRow == 0)
                    loop.Run(&ReadWeight, &work, flipped ? s.InputLanes : work.CountOutputs);
                product.Run(work.Read, work.Weights, work.Products, s.TilesOf(work.CountRows), work.CountOutputs, s.InputLanes,
                    WinogradShape.Points);
                loop.Run(&WriteRow, &work, work.CountRows);
            }
        }
    }

    private static void ReadWeight(void* state, nint row)
    {
        Work* work = (Work*)state;
        ref readonly WinogradShape s = ref work->Shape;
        if (work->Flipped)
        {
            WinogradWeights.Read(work->Weight, s.Inputs, s.Outputs, true, new()
            {
                Matrices = work->Weights,
                Rows = s.InputLanes,
                Lanes = work->CountOutputs,
                Row = row,
                FromRow = row,
                FromColumn = work->FirstOutput
            });
        }
        else
        {
            WinogradWeights.Read(work->Weight, s.Outputs, s.Inputs, false, new()
            {
                Matrices = work->Weights,
                Rows = work->CountOutputs,
                Lanes = s.InputLanes,
                Row = row,
                FromRow = work->FirstOutput + row
            });
        }
    }

    private static void ReadRow(void* state, nint index)
    {
        Work* work = (Work*)state;
        ref readonly WinogradShape s = ref work->Shape;
        nint row = work->FirstRow + index, top = (row % s.TileRows * WinogradSteps.Tile) - s.PadTop;
        WinogradTiles.Matrices to = new() { Data = work->Read, Lanes = s.InputLanes, Tiles = s.TilesOf(work->CountRows) };
        WinogradTiles.Read<WinogradSteps.Input>(work->Input, row / s.TileRows, top, -s.PadLeft, s.TileColumns, to, index * s.TileColumns);
    }

    private static void WriteRow(void* state, nint index)
    {
        Work* work = (Work*)state;
        ref readonly WinogradShape s = ref work->Shape;
        nint row = work->FirstRow + index;
        WinogradTiles.Matrices from = new()
        { Data = work->Products, Lanes = work->CountOutputs, Tiles = s.TilesOf(work->CountRows), FirstChannel = work->FirstOutput };
        WinogradTiles.Write(from, index * s.TileColumns, work->Output, work->Bias, row / s.TileRows, row % s.TileRows
            * WinogradSteps.Tile, s.TileColumns);
    }

    private struct Work
    {
        public WinogradShape Shape;
        public WinogradTiles.Images Input;
        public WinogradTiles.Images Output;
        public float* Weight;
        public float* Bias;
        public float* Weights;
        public float* Read;
        public float* Products;
        public bool Flipped;
        public nint FirstRow;
        public nint CountRows;
        public nint FirstOutput;
        public nint CountOutputs;
    }
}
